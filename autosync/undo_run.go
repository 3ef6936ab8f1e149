package autosync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// run does the steps: what has to make room goes first, children before parents; then directories come back, parents
// first, then what is in them; modes and times last, when nothing changes names any more.
func (u *undoing) run(ctx context.Context) error {
	if err := u.announce(); err != nil {
		return err
	}
	for i := len(u.steps) - 1; i >= 0; i-- {
		if err := ctx.Err(); err != nil {
			return errors.Join(err, u.finishDirs())
		}
		if s := &u.steps[i]; s.makesRoom() {
			u.attempt(s, u.take, s.fate == fateTake)
		}
	}
	for _, dirs := range []bool{true, false} {
		for i := range u.steps {
			if err := ctx.Err(); err != nil {
				return errors.Join(err, u.finishDirs())
			}
			s := &u.steps[i]
			if isDir := s.before.stamp.Kind == safety.Directory; isDir == dirs && s.fate != fateTake && (s.gone || !s.makesRoom()) {
				u.attempt(s, u.giveBack, true)
			}
		}
	}
	return u.finishDirs()
}

// makesRoom reports whether what the session made has to go before, or without, anything coming back: directories are
// exchanged with nothing.
func (s *undoStep) makesRoom() bool {
	return s.fate == fateTake || s.fate == fateSwap && (s.now.Kind == safety.Directory || s.before.stamp.Kind == safety.Directory)
}

// attempt does one step. What can't be done is reported, and so is what it leaves behind in its directory.
func (u *undoing) attempt(s *undoStep, do func(*undoStep) error, last bool) {
	err := do(s)
	if ferr := u.journal.Flush(false); err == nil { // a kill from here on leaves nothing to find out
		err = ferr
	}
	switch {
	case errors.Is(err, safety.ErrChanged):
		u.leave(s.path, "changed at this moment")
	case s.now.Kind == safety.Directory && isNotEmpty(err):
		u.leave(s.path, "it holds what the session did not make")
	case err != nil:
		u.fail(s.path, err)
	case last:
		u.noteDone(*s)
	}
}

// announce gives each step a number and says durably what it is going to do: an undo that is cut short is settled by it.
func (u *undoing) announce() error {
	for i := range u.steps {
		s := &u.steps[i]
		u.seq++
		s.seq = u.seq
		if s.fate == fateMode {
			u.intend(s.seq, opChmod, s, place{})
			continue
		}
		if s.makesRoom() {
			u.intend(s.seq, opDelete, s, place{})
		}
		if s.fate != fateTake {
			u.seq++ // what makes room and what comes back have slots of their own
			u.intend(u.seq, opBring, s, u.places.find(s.changed))
		}
	}
	return u.journal.Flush(true)
}

// The calls of an undo, as its journal names them. A bring moves a version out of a store by way of the undo's own slot.
const (
	opDelete = "delete"
	opRmdir  = "rmdir"
	opMkdir  = "mkdir"
	opBring  = "bring"
)

func (u *undoing) intend(seq uint64, op string, s *undoStep, from place) {
	expect := mirror.StampOf(s.now)
	if op == opBring && s.makesRoom() {
		expect = mirror.Stamp{}
	}
	r := record{Type: recordIntent, Seq: seq, Op: op, Path: []byte(s.path), Expect: &expect}
	if from.root != nil {
		if info, err := from.root.Lstat(from.path); err == nil {
			staged := mirror.StampOf(info)
			staged.Ino, staged.Dev = info.Ino, info.Dev // also of a directory: it tells whether it was moved
			r.Staged, r.From = &staged, []byte(from.String())
		}
	}
	u.append(r)
}

func (u *undoing) append(r record) {
	if err := u.journal.Append(r); err != nil {
		panic("BUG: " + err.Error())
	}
}

// take moves what the session made to the store.
func (u *undoing) take(s *undoStep) error {
	if _, err := u.lookAgain(s); err != nil {
		return err
	}
	before, err := u.touch(s.path.Dir())
	if err != nil {
		return err
	}
	var kept string
	if s.now.Kind == safety.Directory {
		if kept, err = u.takeDir(s); err != nil {
			return err
		}
	} else {
		out, err := u.store.Delete(s.seq, s.path, s.now)
		if err != nil {
			return err
		}
		if !out.Expected {
			u.out.Kept = append(u.out.Kept, PathNote{Path: s.path, Why: "saved while it was undone", Kept: out.Slot})
		}
		kept = out.Slot
	}
	s.gone, s.kept = true, kept
	u.noteLinked(s.now, safety.Info{})
	u.done(s.seq, opDelete, s.path, mirror.Entry{}, kept, before)
	return nil
}

func (u *undoing) takeDir(s *undoStep) (string, error) {
	if err := u.store.KeepDir(s.seq, s.path); err != nil {
		return "", err
	}
	if err := u.project.Rmdir(s.path); err != nil {
		return "", errors.Join(err, u.store.DropDir(s.seq))
	}
	delete(u.touched, s.path) // its times are those of the likeness now
	return u.store.SlotPath(s.seq), nil
}

// giveBack makes the path what it was.
func (u *undoing) giveBack(s *undoStep) error {
	if s.fate == fateMode {
		return u.chmod(s.seq, s)
	}
	if back, err := u.lookAgain(s); back || err != nil {
		return err
	}
	seq, now := s.seq+1, s.now
	if s.gone {
		now = safety.Info{}
	}
	if err := u.makeParents(s.path); err != nil {
		return err
	}
	before, err := u.touch(s.path.Dir())
	if err != nil {
		return err
	}
	from := u.places.find(s.changed)
	if from.root == nil && from.err != nil {
		return from.err
	}
	if from.root == nil {
		return u.remake(s, before)
	}
	placed, kept, err := safety.Info{}, "", errors.ErrUnsupported
	if u.uses[s.before.kept] < 2 { // else another name needs it as well
		placed, kept, err = u.bring(seq, s, now, from)
	}
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission) {
		placed, kept, err = u.copyIn(seq, s, now, from)
	}
	if err != nil {
		return err
	}
	entry := mirror.Entry{State: mirror.State{Kind: placed.Kind, Exec: placed.Exec()}, Project: mirror.StampOf(placed)}
	u.done(seq, opBring, s.path, entry, kept, before)
	if kept != "" {
		s.kept = kept
	}
	u.noteLinked(now, placed)
	s.now = placed
	if placed.Kind == safety.Directory {
		u.reopened(s, placed)
		return nil
	}
	if s.before.mode != 0 && placed.Mode != s.before.mode {
		u.seq++
		u.intend(u.seq, opChmod, s, place{})
		return u.chmod(u.seq, s)
	}
	return nil
}

// noteLinked notes files of several names of which one came to a path, or went from there: the others are not as they were
// looked at any more.
func (u *undoing) noteLinked(was, now safety.Info) {
	for _, f := range []safety.Info{was, now} {
		if f.Kind == safety.File && f.Nlink > 1 {
			u.linked[f.Ino] = true
		}
	}
	if now.Kind == safety.File && was.SameFile(now) {
		if u.inPlace == nil {
			u.inPlace = map[uint64]safety.Info{}
		}
		u.inPlace[now.Ino] = now
	}
}

// lookAgain takes what is at the path as it is now, where this undo moved or rewrote another name of the same file, and
// nobody else changed it; back: it is as it was before the session by that.
func (u *undoing) lookAgain(s *undoStep) (back bool, err error) {
	if s.gone || !u.linked[s.now.Ino] {
		return false, nil
	}
	now, err := u.project.Lstat(s.path)
	if err != nil {
		return false, err
	}
	then, rewritten := u.inPlace[s.now.Ino]
	if !rewritten {
		then = s.now
	}
	then.Ctime, then.Blocks = now.Ctime, now.Blocks // a rename moves the first, and the second may settle later
	if now != then {
		return false, nil // the call itself finds out
	}
	if !rewritten {
		s.now = now
		return false, nil
	}
	back = sameEntry(s.before.stamp, mirror.StampOf(now)) && (s.before.mode == 0 || s.before.mode == now.Mode)
	s.user = s.user && !back // its version is kept once
	return back, nil
}

// bring moves a version out of its store to its path.
func (u *undoing) bring(seq uint64, s *undoStep, now safety.Info, from place) (safety.Info, string, error) {
	if s.apart {
		now.Nlink = 1
	}
	st, err := u.store.Adopt(seq, from.root, from.path, s.path, now)
	if err != nil {
		return safety.Info{}, "", err
	}
	out, err := u.store.Place(st)
	err = errors.Join(err, st.GiveBack(from.root, from.path))
	return u.placed(s, st.Info(), out, err)
}

// copyIn copies a version to its path, where moving it would do harm or is not possible.
func (u *undoing) copyIn(seq uint64, s *undoStep, now safety.Info, from place) (placed safety.Info, kept string, err error) {
	info, err := from.root.Lstat(from.path)
	if err != nil {
		return safety.Info{}, "", err
	}
	if info.Kind == safety.Directory {
		made, err := u.makeDir(s.path, info.Mode)
		made.Mtime = info.Mtime
		return made, "", err
	}
	st, err := u.stageCopy(seq, s, now, from, info)
	if err != nil {
		return safety.Info{}, "", err
	}
	defer st.Discard() // no-op for what was placed
	out, err := u.store.Place(st)
	return u.placed(s, st.Info(), out, err)
}

func (u *undoing) stageCopy(seq uint64, s *undoStep, now safety.Info, from place, info safety.Info) (*safety.Staged, error) {
	if info.Kind == safety.Symlink {
		target, err := from.root.Readlink(from.path)
		if err != nil {
			return nil, err
		}
		return u.store.StageLink(seq, target, s.path, now)
	}
	src, info, err := from.root.Open(from.path)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	shape := safety.Shape{Mode: info.Mode & 0o777, Mtime: info.Mtime, Exact: true, Apart: s.apart}
	if now.Kind == safety.Absent {
		return u.store.StageNew(context.Background(), seq, src, shape, s.path) // one file: not cut short
	}
	return u.store.StageReplacement(context.Background(), seq, src, shape, s.path, now)
}

func (u *undoing) placed(s *undoStep, placed safety.Info, out safety.Displaced, err error) (safety.Info, string, error) {
	if out.Slot != "" && !out.Expected {
		u.out.Kept = append(u.out.Kept, PathNote{Path: s.path, Why: "saved while it was undone", Kept: out.Slot})
	}
	return placed, out.Slot, err
}

// remake makes a directory of which no likeness was kept; of anything else there is nothing to make it from.
func (u *undoing) remake(s *undoStep, before int64) error {
	if s.before.stamp.Kind != safety.Directory {
		return errors.New("the version from before is not kept any more")
	}
	return u.mkdir(s.seq+1, s.path, s.before.stamp.Mode, before)
}

func (u *undoing) mkdir(seq uint64, p safety.RelPath, mode uint32, before int64) error {
	made, err := u.makeDir(p, mode&0o777|0o700)
	if err != nil {
		return err
	}
	entry := mirror.Entry{State: mirror.State{Kind: safety.Directory}, Project: mirror.StampOf(made)}
	u.done(seq, opMkdir, p, entry, "", before)
	u.touched[p] = &touchedDir{was: made.Mtime, mode: &mode}
	return nil
}

// makeDir makes a directory and looks at it. One that can't be looked at goes again: without a record it would count as the
// user's, and stand in the way of what an undo of this brings back.
func (u *undoing) makeDir(p safety.RelPath, mode uint32) (safety.Info, error) {
	if err := u.project.Mkdir(p, mode); err != nil {
		return safety.Info{}, err
	}
	made, err := u.project.Lstat(p)
	if err != nil {
		_ = u.project.Rmdir(p) // empty, or somebody else's by now
	}
	return made, err
}

// makeParents makes directories above a path that comes back: the user may have removed them since.
func (u *undoing) makeParents(p safety.RelPath) error {
	for _, dir := range p.Parents() {
		info, err := u.project.Lstat(dir)
		if err != nil || info.Kind == safety.Directory {
			continue // what is in the way says so itself
		}
		if info.Kind != safety.Absent {
			return fmt.Errorf("a %v is at %s: undo that, too", info.Kind, dir)
		}
		if slices.ContainsFunc(u.out.Failed, func(n PathNote) bool { return n.Path == dir }) {
			return fmt.Errorf("%s did not come back", dir) // the next try brings it with its mode and times
		}
		before, err := u.touch(dir.Dir())
		if err != nil {
			return err
		}
		u.seq++
		if err := u.mkdir(u.seq, dir, 0o755, before); err != nil {
			return err
		}
	}
	return nil
}

// chmod gives the path the mode from before.
func (u *undoing) chmod(seq uint64, s *undoStep) error {
	mode := s.before.mode
	if s.before.stamp.Kind == safety.Directory {
		mode = s.before.stamp.Mode
	}
	if err := u.project.Chmod(s.path, s.now, mode); err != nil {
		return err
	}
	after, err := u.project.Lstat(s.path)
	if err != nil {
		return err
	}
	u.noteLinked(s.now, after)
	entry := mirror.Entry{State: mirror.State{Kind: after.Kind, Exec: after.Exec()}, Project: mirror.StampOf(after)}
	u.done(seq, opChmod, s.path, entry, "", 0)
	return nil
}

// touch remembers a directory in which a name is about to change, and returns its mtime of now.
func (u *undoing) touch(dir safety.RelPath) (int64, error) {
	info, err := u.project.Lstat(dir)
	if err != nil {
		return 0, err
	}
	if u.touched[dir] == nil {
		u.touched[dir] = &touchedDir{was: info.Mtime}
	}
	return info.Mtime, nil
}

// reopened notes a directory that came back: it gets its mode when it is full.
func (u *undoing) reopened(s *undoStep, placed safety.Info) {
	mode := s.before.stamp.Mode
	u.touched[s.path] = &touchedDir{was: placed.Mtime, mode: &mode}
}

func (u *undoing) done(seq uint64, op string, p safety.RelPath, entry mirror.Entry, kept string, dirBefore int64) {
	r := record{Type: recordDone, Seq: seq, Op: op, Path: []byte(p), Kept: []byte(kept)}
	if !entry.State.Absent() {
		r.Base = &entry
	}
	if dirBefore != 0 {
		if info, err := u.project.Lstat(p.Dir()); err == nil {
			r.Dir = [2]int64{dirBefore, info.Mtime}
		}
	}
	u.append(r)
}

// finishDirs gives directories their modes, and their times where nothing in them is any more as the session left it
// and nobody else changed names there since. Children come before their parents.
func (u *undoing) finishDirs() error {
	var errs []error
	dirs := make([]safety.RelPath, 0, len(u.touched))
	for dir := range u.touched {
		dirs = append(dirs, dir)
	}
	slices.Sort(dirs)
	for _, dir := range slices.Backward(dirs) {
		if err := u.finishDir(dir, u.touched[dir]); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (u *undoing) finishDir(dir safety.RelPath, t *touchedDir) error {
	now, err := u.project.Lstat(dir)
	if err != nil || now.Kind != safety.Directory {
		return err
	}
	want, known := t.was, t.mode != nil // one that came back has the time of its likeness, at least
	if then, ok := u.dirs[dir]; ok && then.after == t.was {
		want, known = then.before, true
	}
	if known && !u.stay[dir] {
		if err := u.setTime(dir, want); err != nil {
			return err
		}
		u.append(record{Type: recordDone, Op: opTimes, Path: []byte(dir), Dir: [2]int64{now.Mtime, want}})
	}
	if t.mode != nil && *t.mode != now.Mode {
		return u.project.Chmod(dir, now, *t.mode)
	}
	return nil
}

func (u *undoing) setTime(dir safety.RelPath, mtime int64) error {
	d, err := u.project.OpenDir(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.SetOwnTimes(mtime)
}
