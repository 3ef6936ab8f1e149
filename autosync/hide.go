package autosync

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// Hide takes out of a mirror that was built under other rules what its policy hides now, and nothing else is carried.
// What the agent did not change goes; what it made of such a file is kept in the session's folder, as refused: as an
// orphan it would come back with the next mirror. What the agent made itself at a path that the project had nothing
// visible at stays: it is no leak.
//
// It returns how many files went and what was kept. An error means that something may still be there that is to be
// hidden, so that nobody may work in the mirror. The caller has the session's lock.
func Hide(ctx context.Context, m *mirror.Mirror, opts Options) (gone []safety.RelPath, kept []PathNote, err error) {
	e, err := openEngine(m, opts)
	if err != nil {
		return nil, nil, err
	}
	err = errors.Join(e.hideAll(ctx), e.close())
	if err == nil {
		err = e.stillShown()
	}
	e.changes.sort()
	return e.changes.ToMirror, e.changes.Refused, err
}

// CatchUp is Hide and then Once, for a mirror that is taken up again: both sides are looked at once only where the rules hide
// nothing of what both sides last agreed on.
//
// With w, both sides are watched from then on: each directory before it was looked into. Nil: they are not.
func CatchUp(ctx context.Context, m *mirror.Mirror, opts Options, w *Watched) (c Changes, kept []PathNote, err error) {
	e, err := openEngine(m, opts)
	if err != nil {
		return Changes{}, nil, err
	}
	var gone []safety.RelPath
	if m.HoldsUnseen() {
		if err = e.hideAll(ctx); err == nil {
			err = e.stillShown()
		}
		gone, kept = e.changes.ToMirror, e.changes.Refused
		e.changes = Changes{Recovered: e.changes.Recovered}
	}
	if err == nil {
		e.watching = w
		err = e.finish(ctx)
	}
	err = errors.Join(err, e.close())
	e.changes.ToMirror = append(e.changes.ToMirror, gone...)
	return e.result(), kept, err
}

func (e *engine) hideAll(ctx context.Context) error {
	for range maxRounds {
		e.again = nil
		pl, err := e.lookAtHidden(ctx)
		if err != nil {
			return err
		}
		e.changes.Failed = e.view.trouble
		if err := e.run(ctx, pl); err != nil {
			return err
		}
		e.changes.Refused = append(e.changes.Refused, e.setAside(each(pl.refused), refusedFolder)...)
		if len(e.again)+len(e.view.again) == 0 {
			break
		}
	}
	return nil
}

// lookAtHidden plans what has to happen at the paths of the base that are hidden by now.
func (e *engine) lookAtHidden(ctx context.Context) (plan, error) {
	if err := e.verify(); err != nil {
		return plan{}, err
	}
	v := &view{guard: e.guard}
	if err := v.scan(ctx, e.m); err != nil {
		return plan{}, err
	}
	e.view = v
	l := looker{m: e.m, view: v}
	paths := slices.DeleteFunc(l.moved(), func(p safety.RelPath) bool {
		base := e.m.Base.Get(p).State
		return base.Absent() || l.access(p, base.Kind, v.project.Get(p), v.mirrored.Get(p)).Mirrored()
	})
	if err := l.lookAt(ctx, paths); err != nil {
		return plan{}, err
	}
	return makePlan(v.looks, limits{toMirror: true}), nil
}

// stillShown is an error when the mirror holds something at a path that the base knows and the rules hide.
func (e *engine) stillShown() error {
	for p, entry := range e.m.Base.All() {
		if entry.State.Kind == safety.Directory || e.m.Policy.Access(string(p), false).Mirrored() {
			continue
		}
		info, err := e.m.Root.Lstat(p)
		if err == nil && info.Kind == safety.Absent || isAbsent(err) {
			continue
		}
		for _, n := range e.changes.Failed {
			if p.In(n.Path) {
				err = errors.New(n.Why)
			}
		}
		if err == nil {
			err = safety.ErrChanged
		}
		return fmt.Errorf("%s is hidden by now, and can't be taken out of the mirror: %w", p, err)
	}
	return nil
}
