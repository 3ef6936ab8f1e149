package launcher

import (
	"context"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/safety"
)

// WhyReview is Result.WhyKept when changes wait for the user's word.
const WhyReview = "changes wait for your word"

// Verdict is what the user says of proposals. Those that are in neither list wait in the session, which is kept.
type Verdict struct {
	Approved, Discarded []autosync.Proposal
}

// review is the last sync under SyncReview: nothing crosses to the project but what was approved, and the project's own
// changes don't cross to a mirror that nobody works in any more.
func (l *launch) review(ctx context.Context) error {
	proposals, err := autosync.Propose(ctx, l.mirror, l.opts.Guarded, nil)
	if err != nil {
		return err
	}
	if len(proposals.List)+len(proposals.Trouble) > 0 {
		if l.opts.Review == nil {
			l.waiting = true
			return nil
		}
		verdict, err := l.opts.Review(ctx, proposals.List)
		if err != nil {
			l.waiting = true
			return err
		}
		if err := l.obey(ctx, verdict, len(proposals.List)); err != nil {
			l.waiting = true
			return err
		}
	}
	return l.endReviewed(ctx)
}

// obey does what the user said.
func (l *launch) obey(ctx context.Context, v Verdict, all int) error {
	if len(v.Approved) > 0 {
		changes, err := autosync.Once(ctx, l.mirror, autosync.Options{
			Deletes: true, OnlyToProject: true, Approved: true, Paths: pathsOf(v.Approved), Events: l.opts.Events,
		})
		l.res.Changes = l.res.Changes.Plus(changes)
		if err != nil {
			return err
		}
	}
	if len(v.Discarded) == 0 {
		return nil
	}
	paths := pathsOf(v.Discarded)
	if len(v.Discarded) == all {
		paths = nil // also what no proposal shows: directories with nothing in them
	}
	_, changes, err := autosync.Discard(ctx, l.mirror, paths)
	l.res.Changes.Failed = append(l.res.Changes.Failed, changes.Failed...)
	return err
}

func pathsOf(list []autosync.Proposal) []safety.RelPath {
	var out []safety.RelPath
	for _, p := range list {
		out = append(out, p.Path)
		if p.From != "" {
			out = append(out, p.From)
		}
	}
	return out
}

// endReviewed looks whether anything waits still. Only when nothing does is the mirror's end that of any other session:
// what may not cross is set aside, and the mirror may go.
func (l *launch) endReviewed(ctx context.Context) error {
	left, err := autosync.Propose(ctx, l.mirror, l.opts.Guarded, nil)
	if err != nil || len(left.List)+len(left.Trouble)+len(l.res.Changes.Failed) > 0 {
		l.waiting = true
		return err
	}
	changes, err := autosync.Once(ctx, l.mirror, l.syncOptions())
	l.res.Changes = l.res.Changes.Plus(changes)
	return err
}
