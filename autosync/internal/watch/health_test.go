package watch

import "testing"

func TestHealthNamesWhatNeedsTheUserMost(t *testing.T) {
	for _, c := range []struct {
		f    facts
		want Health
	}{
		{facts{}, Health{}},
		{facts{blind: "b"}, Health{State: Degraded, Reason: "b"}},
		{facts{blind: "b", lost: "l", asked: 2, answered: 1}, Health{State: Degraded, Reason: "l", Rescan: 2}},
		{facts{lost: "l", limit: "raise it"}, Health{State: Degraded, Reason: "raise it"}},
		{facts{limit: "raise it", gone: "g"}, Health{State: Gone, Reason: "g"}},
	} {
		if got := c.f.health(); got != c.want {
			t.Errorf("%+v: got %+v, want %+v", c.f, got, c.want)
		}
	}
}

func TestScanThatBeganBeforeTheLastLossDoesNotHeal(t *testing.T) {
	h := newHealth()
	h.losing("one")
	h.ask()
	first := h.now().Rescan
	h.losing("two")
	h.scanned(first)
	if got := h.now(); got.State != Degraded {
		t.Fatalf("while watches are set anew: %+v", got)
	}
	h.ask()
	h.scanned(first)
	if got := h.now(); got.State != Degraded || got.Rescan == first {
		t.Fatalf("after the first scan: %+v", got)
	}
	h.scanned(h.now().Rescan)
	if got := h.now(); got != (Health{}) {
		t.Fatalf("after the second: %+v", got)
	}
}

func TestHealthIsReportedOncePerChange(t *testing.T) {
	h := newHealth()
	h.miss("b", "limit")
	h.miss("a", "limit")
	if got := <-h.changes; got != (Health{State: Degraded, Reason: "limit"}) {
		t.Errorf("%+v", got)
	}
	h.settle("a")
	select {
	case got := <-h.changes:
		t.Errorf("reported again: %+v", got)
	default:
	}
	h.settle("b")
	if got := <-h.changes; got != (Health{}) {
		t.Errorf("%+v", got)
	}
}

func TestUnknownRequestIsNotAnswered(t *testing.T) {
	h := newHealth()
	h.scanned(9)
	h.losing("x")
	h.ask()
	if got := h.now(); got.State != Degraded || got.Rescan != 1 {
		t.Errorf("%+v", got)
	}
}
