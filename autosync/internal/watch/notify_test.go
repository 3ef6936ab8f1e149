package watch

import (
	"testing"

	"github.com/rjeczalik/notify"
)

func TestFullNotifyChannelCountsAsLoss(t *testing.T) {
	r := watchTree(t, Notify, nil)
	n := &notifier{w: r.w, events: make(chan notify.EventInfo, 4)}
	for range 3 {
		n.events <- nil
	}
	<-n.events
	if n.full() || r.w.Health().Rescan != 0 {
		t.Fatal("full though there was room all the time")
	}
	for len(n.events) < cap(n.events) {
		n.events <- nil
	}
	<-n.events
	if !n.full() || r.w.Health().Rescan != 1 {
		t.Errorf("not reported: %+v", r.w.Health())
	}
}

func TestNotifyDropsWhatIsBelowUnwantedDirectories(t *testing.T) {
	r := watchTree(t, Notify, nil)
	n := &notifier{w: r.w}
	for rel, want := range map[string]bool{"f": true, "d/f": true, "hidden": true, "hidden/f": false, "d/hidden/e/f": false} {
		if p, ok := n.rel(r.path(rel)); ok != want || ok && string(p) != rel {
			t.Errorf("%q: %q, %v", rel, p, ok)
		}
	}
	if _, ok := n.rel(r.dir + "-other/f"); ok {
		t.Error("a path outside")
	}
}
