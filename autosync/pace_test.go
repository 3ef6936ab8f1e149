package autosync

import (
	"testing"
	"time"
)

// paceAt is a pace whose last scan took a time and ended at 0.
func paceAt(fixed *time.Duration, healthy bool, took time.Duration) *pace {
	p := newPace(LiveOptions{ScanInterval: fixed})
	p.begin(at(0).Add(-took))
	p.scanned(at(0), healthy)
	return p
}

func TestPaceIntervals(t *testing.T) {
	never, hour := time.Duration(0), time.Hour
	for _, c := range []struct {
		what    string
		fixed   *time.Duration
		healthy bool
		took    time.Duration
		want    time.Duration
	}{
		{"healthy and cheap", nil, true, ms, time.Minute},
		{"healthy: one part in ten thousand", nil, true, 100 * ms, 1000 * time.Second},
		{"healthy and dear: half an hour at most", nil, true, time.Second, 30 * time.Minute},
		{"degraded and cheap", nil, false, ms, 10 * time.Second},
		{"degraded: a twentieth", nil, false, 3 * time.Second, time.Minute},
		{"the user's, healthy", &hour, true, ms, time.Hour},
		{"the user's, degraded", &hour, false, ms, time.Hour},
		{"none, healthy", &never, true, ms, farOff},
		{"none, degraded", &never, false, ms, farOff},
	} {
		p := paceAt(c.fixed, c.healthy, c.took)
		if p.due(at(0).Add(c.want-1)) || !p.due(at(0).Add(c.want)) {
			t.Errorf("%s: next after %v, want %v", c.what, p.next.Sub(at(0)), c.want)
		}
	}
}

// A scan may be asked for at any time: what it took is counted from its own begin.
func TestPaceCountsEachScanFromItsOwnBegin(t *testing.T) {
	p := paceAt(nil, true, ms)
	p.begin(at(0).Add(time.Hour))
	p.scanned(at(100).Add(time.Hour), false)
	if p.took != 100*ms || p.next != at(100).Add(time.Hour+degradedLeast) {
		t.Errorf("took %v, next after %v", p.took, p.next.Sub(at(100).Add(time.Hour)))
	}
}

func TestPaceNoScanIsDueWhileOneRuns(t *testing.T) {
	p := paceAt(nil, true, ms)
	p.begin(at(0))
	if p.due(at(0).Add(10 * time.Hour)) {
		t.Error("due while one runs")
	}
}

func TestPaceTurnTakesTheOtherInterval(t *testing.T) {
	p := paceAt(nil, true, ms)
	p.turn(at(500), false)
	if p.next != at(500).Add(degradedLeast) {
		t.Errorf("degraded: next after %v", p.next.Sub(at(500)))
	}
	p.turn(at(600), true)
	if p.next != at(600).Add(time.Minute) {
		t.Errorf("healthy again: next after %v", p.next.Sub(at(600)))
	}
}

func TestPaceHurriesNoMoreThanHalfOfTheTime(t *testing.T) {
	p := paceAt(nil, true, 400*ms)
	p.hurry(at(100))
	if p.next != at(400) {
		t.Errorf("next at %v, want as long after the last as that took", p.next.Sub(at(0)))
	}
	p = paceAt(nil, true, 400*ms)
	p.hurry(at(1000))
	if p.next != at(1000) {
		t.Errorf("next at %v, want at once", p.next.Sub(at(0)))
	}
	p.next = at(500)
	p.hurry(at(1000))
	if p.next != at(500) {
		t.Errorf("hurry put it off to %v", p.next.Sub(at(0)))
	}
}

func TestClocksThatPartAskForAScan(t *testing.T) {
	for _, c := range []struct {
		wall, monotonic time.Duration
		want            bool
	}{
		{time.Minute, time.Minute, false},
		{time.Minute + 3*time.Second, time.Minute, false},
		{8 * time.Hour, time.Minute, true}, // asleep
		{-time.Hour, time.Minute, true},    // set back
	} {
		if got := clocksParted(c.wall, c.monotonic); got != c.want {
			t.Errorf("%v on the wall, %v by the other: %v", c.wall, c.monotonic, got)
		}
	}
}
