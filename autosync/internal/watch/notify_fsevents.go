//go:build darwin && cgo && !kqueue

package watch

import "github.com/rjeczalik/notify"

// dropped are the flags by which FSEvents tells that events were lost.
const dropped = notify.Event(notify.FSEventsMustScanSubDirs) | notify.Event(notify.FSEventsUserDropped) |
	notify.Event(notify.FSEventsKernelDropped)

// notifyBlind is empty: FSEvents tells of what it drops.
func notifyBlind() string { return "" }

// moreEvents are those of FSEvents that notify has no common name for: losses, modes, owners, attributes.
func moreEvents() []notify.Event {
	return []notify.Event{dropped, notify.Event(notify.FSEventsInodeMetaMod), notify.Event(notify.FSEventsChangeOwner),
		notify.Event(notify.FSEventsXattrMod)}
}

func isLoss(e notify.Event) bool { return e&dropped != 0 }
