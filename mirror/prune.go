package mirror

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/alca-mount/alca-mount/safety"
)

// How long, and how much of, what ended sessions keep is kept unless somebody says otherwise.
const (
	PruneAfter = 14 * 24 * time.Hour
	PruneSize  = 2 << 30
)

// PruneOptions say which ended sessions go: those that ended longer ago than After, and of the others, the oldest first,
// as many as it takes to keep no more than Size bytes.
type PruneOptions struct {
	Project string // real path; "": all
	After   time.Duration
	Size    int64
	DryRun  bool
	// Spare says why a session stays all the same: "" for one that may go. It is asked again with the session locked. One
	// of which it can't be said stays, too, and the error is among those of Prune.
	Spare func(*Session) (string, error)
}

// Pruned is a session that went, or with DryRun would.
type Pruned struct {
	Session string
	Project string
	Ended   time.Time
	Bytes   int64
	Why     string
}

// Prune removes sessions that ended and are there only for the versions that they keep, oldest first. One that runs, has
// a mirror, ended badly, or is in use stays. When ctx ends it stops between two sessions; what was done is returned with
// ctx's error. What can't be removed is in the error, and the rest goes on.
func (s *StateDir) Prune(ctx context.Context, opts PruneOptions) ([]Pruned, error) {
	all, err := s.List(opts.Project)
	if err != nil {
		return nil, err
	}
	var list []*Session
	for _, one := range all {
		if one.OnlyKeeps() {
			list = append(list, one)
		}
	}
	slices.SortStableFunc(list, func(a, b *Session) int { return a.Ended.Compare(b.Ended) })
	var errs []error
	list = slices.DeleteFunc(list, func(one *Session) bool {
		may, err := one.mayGo(opts)
		errs = append(errs, err)
		return !may
	})
	p := pruning{ctx: ctx, opts: opts, list: make([]Pruned, len(list)), sessions: list, errs: errs}
	for i, one := range list {
		p.list[i] = Pruned{Session: one.ID, Project: one.Project, Ended: one.Ended}
	}
	// Age first: to measure all takes a while, and ctx may end.
	chooseByAge(p.list, time.Now(), opts.After)
	p.remove()
	if err := p.measure(); err == nil {
		chooseBySize(p.list, opts.Size)
		p.remove()
	}
	return p.gone, errors.Join(append(p.errs, ctx.Err())...)
}

// pruning is one call of Prune.
type pruning struct {
	ctx      context.Context
	opts     PruneOptions
	list     []Pruned // with a Why: chosen
	sessions []*Session
	done     []bool
	gone     []Pruned
	errs     []error
}

// measure looks how much the sessions keep that are not chosen.
func (p *pruning) measure() (err error) {
	for i, one := range p.sessions {
		if p.list[i].Why == "" && err == nil {
			p.list[i].Bytes, err = one.size(p.ctx)
		}
	}
	return err
}

// remove removes what is chosen and still there.
func (p *pruning) remove() {
	if p.done == nil {
		p.done = make([]bool, len(p.list))
	}
	for i, one := range p.sessions {
		if p.list[i].Why == "" || p.done[i] || p.ctx.Err() != nil {
			continue
		}
		p.done[i] = true
		if p.list[i].Bytes == 0 {
			p.list[i].Bytes, _ = one.size(p.ctx)
		}
		gone, err := one.prune(p.opts)
		if gone {
			p.gone = append(p.gone, p.list[i])
		}
		if err != nil {
			p.errs = append(p.errs, err)
		}
	}
}

// OnlyKeeps reports whether a session is there only for the versions that it keeps.
func (s *Session) OnlyKeeps() bool {
	if s.Damaged != nil || s.State != SessionEnded || s.Ended.IsZero() {
		return false
	}
	_, err := os.Lstat(s.Mirror)
	return s.Mirror == "" || errors.Is(err, fs.ErrNotExist)
}

// chooseByAge marks those that ended longer ago than after.
func chooseByAge(list []Pruned, now time.Time, after time.Duration) {
	for i := range list {
		if now.Sub(list[i].Ended) > after {
			list[i].Why = fmt.Sprintf("ended more than %s ago", days(after))
		}
	}
}

// chooseBySize marks, the oldest first, as many more as it takes to leave size bytes.
func chooseBySize(list []Pruned, size int64) {
	var left int64
	for _, c := range list {
		if c.Why == "" {
			left += c.Bytes
		}
	}
	for i := range list {
		if left <= size {
			return
		}
		if list[i].Why == "" {
			list[i].Why = fmt.Sprintf("more than %d bytes are kept", size)
			left -= list[i].Bytes
		}
	}
}

func days(d time.Duration) string {
	if day := 24 * time.Hour; d >= day && d%day == 0 {
		return fmt.Sprintf("%d days", d/day)
	}
	return d.String()
}

// mayGo reports whether nothing speaks against a session's removal but that it may be young.
func (s *Session) mayGo(opts PruneOptions) (bool, error) {
	if holder, err := s.Holder(); !s.OnlyKeeps() || err == nil && holder.PID != 0 {
		return false, nil
	}
	return s.notSpared(opts)
}

func (s *Session) notSpared(opts PruneOptions) (bool, error) {
	if opts.Spare == nil {
		return true, nil
	}
	why, err := opts.Spare(s)
	if err != nil {
		return false, fmt.Errorf("session %s: %w", s.ID, err)
	}
	return why == "", nil
}

// prune removes a session if it is still what it was listed as. Another process may have taken it up since.
func (s *Session) prune(opts PruneOptions) (gone bool, err error) {
	if err := s.Lock(); err != nil {
		return false, unlessTaken(err)
	}
	defer s.Unlock()
	now, err := readRecord(s.dir)
	if err != nil {
		return false, unlessTaken(err)
	}
	s.Record = now
	if may, err := s.notSpared(opts); !s.OnlyKeeps() || !may {
		return false, err
	}
	if opts.DryRun {
		return true, nil
	}
	if s.Untold { // a removal that is cut short may take the note that it was told with it, and would never be finished
		s.Untold = false
		_ = s.Save() // there may be no room: prune makes some
	}
	if err := s.Remove(); err != nil {
		return false, err
	}
	return true, nil
}

// unlessTaken is nil for an error that only says that another process has the session now, or has removed it.
func unlessTaken(err error) error {
	var held *safety.LockedError
	if errors.As(err, &held) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// size is how many bytes of the disk the session keeps, in its folder and in stores elsewhere: of a file with holes what
// is in it.
func (s *Session) size(ctx context.Context) (int64, error) {
	var sum int64
	dirs := []string{s.dir}
	for _, store := range s.Stores {
		if store != "" && !strings.HasPrefix(store, s.dir+string(filepath.Separator)) && s.ownsStore(store) {
			dirs = append(dirs, store)
		}
	}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				if info, err := d.Info(); err == nil {
					sum += min(info.Size(), onDisk(info))
				}
			}
			return ctx.Err() // what can't be looked at is not counted
		})
		if err != nil {
			return 0, err
		}
	}
	return sum, nil
}
