package watch

import (
	"errors"

	"github.com/alca-mount/alca-mount/safety"
	"github.com/rjeczalik/notify"
	"golang.org/x/sys/unix"
)

// notifyBlind is why a Watcher of notify is never healthy here.
func notifyBlind() string {
	return "the notify watcher is not told when the kernel drops events: changes are also found by scans"
}

// notifySetup sets one watch per directory: notify's own recursion misses what is made in a new directory before its
// watch is set, and watches hidden directories too.
type notifySetup struct{}

func (notifySetup) watch(p safety.RelPath, path string, events chan<- notify.EventInfo) error {
	err := notify.Watch(path, events, notify.InCloseWrite, notify.InMovedFrom, notify.InMovedTo, notify.InCreate,
		notify.InDelete, notify.InAttrib, notify.InModify)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EACCES):
		return errUnreadable
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		return errNoDir
	case errors.Is(err, unix.EMFILE):
		return explainInit(unix.EMFILE)
	}
	return explainAdd(p, err)
}

func (n *notifier) meaningOf(ev notify.EventInfo) (meaning, Urgency) {
	sys, ok := ev.Sys().(*unix.InotifyEvent)
	if !ok {
		return changed, Probe
	}
	return meaningOf(sys.Mask, true)
}
