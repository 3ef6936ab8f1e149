//go:build !linux

package watch

import (
	"sync"

	"github.com/alca-mount/alca-mount/safety"
	"github.com/rjeczalik/notify"
)

// notifySetup sets one recursive watch on the root.
type notifySetup struct {
	mu   sync.Mutex
	done bool
}

func (s *notifySetup) watch(p safety.RelPath, path string, events chan<- notify.EventInfo) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done || p != safety.Top {
		return nil
	}
	err := notify.Watch(path+"/...", events, append(moreEvents(), notify.Create, notify.Remove, notify.Rename, notify.Write)...)
	s.done = err == nil
	return err
}

// meaningOf looks at the entry: events do not tell on all systems what it is.
func (n *notifier) meaningOf(ev notify.EventInfo) (meaning, Urgency) {
	if isLoss(ev.Event()) {
		return overflow, Settled
	}
	switch ev.Event() {
	case notify.Write:
		return changed, Busy
	case notify.Remove:
		return changed, Settled
	case notify.Create, notify.Rename:
		return n.cameOrChanged(ev.Path())
	}
	return changed, Probe
}

func (n *notifier) cameOrChanged(path string) (meaning, Urgency) {
	p, ok := n.rel(path)
	if !ok {
		return changed, Probe
	}
	switch info, err := n.w.root.Lstat(p); {
	case err == nil && info.Kind == safety.Directory:
		return came, Settled
	case err == nil && info.Kind == safety.Absent:
		return changed, Settled
	}
	return changed, Probe
}
