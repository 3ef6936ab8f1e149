package autosync

import "time"

// The bounds of full reconciles.
const (
	healthyMost   = 30 * time.Minute
	healthyShare  = 10_000 // a scan may take one part in this many of the time between
	degradedLeast = 10 * time.Second
	degradedShare = 20
)

// pace says when everything is scanned: seldom while the watchers are healthy, by what a scan costs; at the degraded
// interval while they are not. It knows no clock: times are handed in.
type pace struct {
	fixed   *time.Duration // the user's interval, whatever the health; 0: none
	healthy bool
	began   time.Time // of the scan that runs or ran last
	ended   time.Time // of the last
	took    time.Duration
	hurried bool      // since the last scan began
	ticked  time.Time // when tick was called last
	next    time.Time
}

// farOff stands for never.
const farOff = 1000 * time.Hour

func newPace(live LiveOptions) *pace {
	now := time.Now()
	return &pace{fixed: live.ScanInterval, healthy: true, began: now, ticked: now, next: now.Add(farOff)}
}

func (p *pace) interval() time.Duration {
	switch {
	case p.fixed != nil && *p.fixed == 0:
		return farOff
	case p.fixed != nil:
		return *p.fixed
	case p.healthy:
		return min(max(healthyShare*p.took, time.Minute), healthyMost)
	}
	return max(degradedLeast, degradedShare*p.took)
}

// due reports whether a scan is to begin now.
func (p *pace) due(now time.Time) bool { return !now.Before(p.next) }

// begin notes that a scan begins, for whatever reason: none other is due until it has ended.
func (p *pace) begin(now time.Time) { p.began, p.next, p.hurried = now, now.Add(farOff), false }

// scanned notes the end of a scan.
func (p *pace) scanned(now time.Time, healthy bool) {
	p.ended, p.took, p.healthy = now, now.Sub(p.began), healthy
	p.next = now.Add(p.interval())
	if p.hurried { // while it ran
		p.hurry(now)
	}
}

// hurry asks for a scan as soon as the last one has been over for as long as it took.
func (p *pace) hurry(now time.Time) {
	p.hurried = true
	at := p.ended.Add(p.took)
	if at.Before(now) {
		at = now
	}
	if at.Before(p.next) {
		p.next = at
	}
}

// A machine that was asleep raises no events of what others changed on its file systems meanwhile. Its monotonic clock
// stood still and the other did not.
const (
	clockLook = time.Minute // how often the clocks are looked at
	clockJump = 10 * time.Second
)

// tick looks at the clocks and asks for a scan when the machine was asleep, or its clock was set.
func (p *pace) tick(now time.Time) {
	if clocksParted(now.Round(0).Sub(p.ticked.Round(0)), now.Sub(p.ticked)) { // Round takes the monotonic half off
		p.hurry(now)
	}
	p.ticked = now
}

// clocksParted reports whether the clock on the wall and the monotonic one disagree on how long it has been.
func clocksParted(wall, monotonic time.Duration) bool { return (wall - monotonic).Abs() > clockJump }

// turn notes that the watchers' health changed.
func (p *pace) turn(now time.Time, healthy bool) {
	p.healthy = healthy
	p.next = now.Add(p.interval())
}
