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
	next    time.Time
}

// farOff stands for never.
const farOff = 1000 * time.Hour

func newPace(live LiveOptions) *pace {
	now := time.Now()
	return &pace{fixed: live.ScanInterval, healthy: true, began: now, next: now.Add(farOff)}
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
func (p *pace) begin(now time.Time) { p.began, p.next = now, now.Add(farOff) }

// scanned notes the end of a scan.
func (p *pace) scanned(now time.Time, healthy bool) {
	p.ended, p.took, p.healthy = now, now.Sub(p.began), healthy
	p.next = now.Add(p.interval())
}

// hurry asks for a scan as soon as the last one has been over for as long as it took.
func (p *pace) hurry(now time.Time) {
	at := p.ended.Add(p.took)
	if at.Before(now) {
		at = now
	}
	if at.Before(p.next) {
		p.next = at
	}
}

// turn notes that the watchers' health changed.
func (p *pace) turn(now time.Time, healthy bool) {
	p.healthy = healthy
	p.next = now.Add(p.interval())
}
