//go:build !linux && !(darwin && cgo && !kqueue)

package watch

import "github.com/rjeczalik/notify"

// notifyBlind is why a Watcher of notify is never healthy here.
func notifyBlind() string {
	return "the watcher is not told when the system drops events: changes are also found by scans"
}

func moreEvents() []notify.Event { return nil }

func isLoss(notify.Event) bool { return false }
