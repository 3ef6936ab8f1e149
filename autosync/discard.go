package autosync

import (
	"context"
	"errors"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// Discard turns down what the agent did at the paths (nil: everywhere): the mirror gets the project's version again. What
// the agent made is kept in the session's folder, for as long as that is there. It returns what was discarded, and where
// it is kept. The caller has the session's lock.
func Discard(ctx context.Context, m *mirror.Mirror, paths []safety.RelPath) (discarded []PathNote, changes Changes, err error) {
	e, err := openEngine(m, Options{Paths: paths, Approved: true})
	if err != nil {
		return nil, Changes{}, err
	}
	e.discarded = map[safety.RelPath]bool{}
	err = e.finish(ctx)
	if err == nil {
		e.changes.sort()
		e.setAside(e.turnedDown(), discardedFolder)
	}
	err = errors.Join(err, e.close())
	changes = e.result()
	rest := changes.Refused[:0]
	for _, n := range changes.Refused {
		if e.discarded[n.Path] {
			n.Why = ""
			discarded = append(discarded, n)
			continue
		}
		rest = append(rest, n)
	}
	changes.Refused = rest
	return discarded, changes, err
}

// turnDown makes what the agent did where it may write look as if it might not: then the project's version is put back.
func (e *engine) turnDown(v *view) {
	selected := limitsFor(e.opts, 0).selected
	for i := range v.looks {
		lk := &v.looks[i]
		if lk.access != dotfiles.Writable || lk.mirrored == lk.base || lk.mirrored == lk.project || lk.lost || selected != nil && !selected(lk.path) {
			continue
		}
		lk.doubt = ""
		lk.access, lk.guarded, lk.barred = dotfiles.ReadOnly, "", ""
		e.discarded[lk.path] = true
	}
}

// turnedDown are the discarded entries that the project has nothing in place of: they still lie in the mirror.
func (e *engine) turnedDown() []*PathNote {
	var out []*PathNote
	for _, n := range e.stillLeft() {
		if e.discarded[n.Path] {
			out = append(out, n)
		}
	}
	return out
}
