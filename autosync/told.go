package autosync

import "github.com/alca-mount/alca-mount/safety"

// told is what was reported of standing facts: of a path that is refused, held or an orphan it is told once, be it while
// CMD works or at the end.
type told map[toldFact]bool

type toldFact struct {
	as   EventType
	path safety.RelPath
}

func (e *engine) tellOnce(t EventType, n PathNote) {
	if f := (toldFact{t, n.Path}); !e.told[f] {
		e.told[f] = true
		e.emit(t, n.Path, ToProject, n.Why, n.Kept)
	}
}

// tellFailing reports what could not be done at a path: again only for another reason, or after it went well.
func (e *engine) tellFailing(n PathNote) {
	if e.failing[n.Path] != n.Why {
		e.failing[n.Path] = n.Why
		e.emit(Failed, n.Path, 0, n.Why, "")
	}
}
