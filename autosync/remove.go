package autosync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"

	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

func isAbsent(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// clear removes what has to make room for another kind of entry.
func (e *engine) clear(s step) error {
	if s.from.Kind != safety.Directory {
		return e.removeFile(s)
	}
	err := e.removeDir(s)
	if err == nil || s.side == mirror.ProjectSide || !isNotEmpty(err) {
		return err
	}
	// What is left in the mirror's directory is the agent's and may not cross: it is kept as refused.
	kept, err := e.keepTree(s.path, refusedFolder)
	if err != nil {
		return err
	}
	e.noteRefused(s.path, "in the way of the project's file", kept)
	return nil
}

// removeAll removes what is gone on the other side, while both roots are what they were. Files are announced in batches.
func (e *engine) removeAll(ctx context.Context, steps []step) error {
	if len(steps) == 0 {
		return nil
	}
	if err := e.verify(); err != nil {
		return err
	}
	for batch := range slices.Chunk(steps, batchSize) {
		seqs, err := e.announceRemovals(batch)
		if err != nil {
			for _, s := range batch {
				e.fail(s.path, err)
			}
			continue
		}
		for i, s := range batch {
			if err = ctx.Err(); err != nil {
				e.noneOf(seqs[i:])
				return err
			}
			if err := e.remove(s, seqs[i]); err != nil {
				e.fail(s.path, err)
			}
		}
	}
	return nil
}

// announceRemovals writes the intents of a batch's files, and returns their numbers: 0 for directories, which announce
// themselves.
func (e *engine) announceRemovals(steps []step) ([]uint64, error) {
	seqs := make([]uint64, len(steps))
	var intents []record
	durable := false
	for i, s := range steps {
		if s.from.Kind == safety.Directory {
			continue
		}
		r := e.removal(s)
		seqs[i] = r.Seq
		intents = append(intents, r)
		durable = durable || s.side == mirror.ProjectSide
	}
	if len(intents) == 0 {
		return seqs, nil
	}
	return seqs, e.intend(durable, intents...)
}

// removal is the intent to remove a file.
func (e *engine) removal(s step) record {
	stamp := mirror.StampOf(e.tree(s.side).Get(s.path).Info)
	return record{Seq: e.nextSeq(), Op: opDelete, Side: s.side, Path: []byte(s.path), Keep: s.keep, Expect: &stamp}
}

// noneOf notes that nothing came of intents.
func (e *engine) noneOf(seqs []uint64) {
	for _, seq := range seqs {
		if seq != 0 {
			e.none(seq)
		}
	}
}

// remove removes what is gone on the other side; a file's intent has the number seq.
func (e *engine) remove(s step, seq uint64) error {
	if s.from.Kind != safety.Directory {
		return e.deleteFile(s, seq)
	}
	err := e.removeDir(s)
	if err != nil && isNotEmpty(err) {
		// Hidden or refused entries are left in it: for the other side it is gone. The mirror's own rest stays in the
		// base: a later pass would take it for a directory that the agent made, and bring it back to the project.
		// Nor may it go where something below could not be removed: the directory would look new, too.
		if s.side == mirror.ProjectSide && !e.failedBelow(s.path) {
			e.setBase(s.path, mirror.Entry{})
		}
		return nil
	}
	return err
}

// failedBelow reports whether this pass left something behind in a directory.
func (e *engine) failedBelow(dir safety.RelPath) bool {
	below := func(n PathNote) bool { return n.Path.In(dir) }
	return slices.ContainsFunc(e.changes.Failed, below) || slices.ContainsFunc(e.again, below)
}

func (e *engine) removeFile(s step) error {
	r := e.removal(s)
	if err := e.intend(s.side == mirror.ProjectSide, r); err != nil {
		return err
	}
	return e.deleteFile(s, r.Seq)
}

// deleteFile moves a file into the store, which was announced.
func (e *engine) deleteFile(s step, seq uint64) error {
	e.unlock(s.side, s.path.Dir())
	expect := e.tree(s.side).Get(s.path).Info
	e.dirTimes = [2]int64{e.dirTime(s), 0}
	displaced, err := e.stores[s.side].Delete(seq, s.path, expect)
	if err != nil {
		e.keepStray(s, seq, displaced)
		e.none(seq)
		return err
	}
	kept := e.settleDisplaced(s, seq, displaced)
	e.done(s, opDelete, seq, mirror.Entry{}, kept)
	e.report(s, kept)
	return nil
}

func (e *engine) removeDir(s step) error {
	e.unlock(s.side, s.path.Dir())
	seq := e.nextSeq()
	info := e.tree(s.side).Get(s.path).Info
	stamp := mirror.StampOf(info)
	if err := e.intend(false, record{Seq: seq, Op: opRmdir, Side: s.side, Path: []byte(s.path), Expect: &stamp}); err != nil {
		return err
	}
	kept, err := e.keepDir(s, seq)
	if err != nil {
		e.none(seq)
		return err
	}
	e.dirTimes = [2]int64{e.dirTime(s), 0}
	if err := e.root(s.side).Rmdir(s.path); err != nil && !isAbsent(err) {
		if kept != "" {
			err = errors.Join(err, e.stores[s.side].DropDir(seq))
		}
		e.none(seq)
		return err
	}
	e.done(s, opRmdir, seq, mirror.Entry{}, kept)
	e.report(s, "")
	return nil
}

// keepDir keeps what an empty directory of the project was like, and returns where.
func (e *engine) keepDir(s step, seq uint64) (string, error) {
	if s.side != mirror.ProjectSide {
		return "", nil
	}
	if err := e.stores[s.side].KeepDir(seq, s.path); err != nil {
		if isAbsent(err) {
			return "", nil
		}
		return "", err
	}
	return e.stores[s.side].SlotPath(seq), nil
}

// makeDir makes a directory with the other side's mode. One that may not be written to gets its mode when it is full.
func (e *engine) makeDir(s step) error {
	e.unlock(s.side, s.path.Dir())
	mode := e.dirMode(s)
	seq := e.nextSeq()
	if err := e.intend(false, record{Seq: seq, Op: opMkdir, Side: s.side, Path: []byte(s.path)}); err != nil {
		return err
	}
	e.dirTimes = [2]int64{e.dirTime(s), 0}
	root := e.root(s.side)
	if err := root.Mkdir(s.path, mode|0o300); err != nil {
		e.none(seq)
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make %s: %w", s.path, safety.ErrChanged)
		}
		return err
	}
	if mode&0o300 != 0o300 {
		e.modes = append(e.modes, finalMode{sidePath{s.side, s.path}, mode})
	}
	e.made[s.path] = finalMode{sidePath{s.side, s.path}, mode}
	entry := mirror.Entry{State: s.to}
	entry.Project = mirror.StampOf(safety.Info{Kind: safety.Directory, Mode: mode})
	entry.Mirror = entry.Project
	if there := e.tree(other(s.side)).Get(s.path).Info; there.Kind == safety.Directory {
		*stampAt(&entry, other(s.side)) = mirror.StampOf(there)
	}
	e.done(s, opMkdir, seq, entry, "")
	e.protectNew(s)
	e.report(s, "")
	return nil
}

// followMode gives a directory that we made the mode that its original has by now: cp -a and tar make a directory, fill
// it, and then set its mode. One whose mode somebody changed since is left as it is.
func (e *engine) followMode(p safety.RelPath) {
	made, ok := e.made[p]
	if !ok {
		return
	}
	info := e.tree(made.side).Get(p).Info
	mode := e.dirMode(step{path: p, side: made.side})
	if info.Mode&0o777 != made.mode || mode == made.mode {
		return
	}
	if err := e.root(made.side).Chmod(p, info, info.Mode&^0o777|mode); err != nil {
		e.fail(p, err)
		return
	}
	made.mode = mode
	e.made[p] = made
}

func stampAt(e *mirror.Entry, side mirror.Side) *mirror.Stamp {
	if side == mirror.ProjectSide {
		return &e.Project
	}
	return &e.Mirror
}

func (e *engine) dirMode(s step) uint32 {
	mode := uint32(0o755)
	if there := e.tree(other(s.side)).Get(s.path).Info; there.Kind == safety.Directory {
		mode = there.Mode & 0o777
	}
	if s.side == mirror.MirrorSide && !e.writable(s.path, true) {
		mode &^= 0o222
	}
	return mode
}

// chmod carries the execute bit alone.
func (e *engine) chmod(s step) error {
	root := e.root(s.side)
	info := e.tree(s.side).Get(s.path).Info
	mode := info.Mode &^ 0o111
	if s.to.Exec {
		mode = info.Mode | info.Mode&0o444>>2
	}
	seq := e.nextSeq()
	stamp := mirror.StampOf(info)
	if err := e.intend(s.side == mirror.ProjectSide, record{Seq: seq, Op: opChmod, Side: s.side, Path: []byte(s.path), Expect: &stamp}); err != nil {
		return err
	}
	if err := root.Chmod(s.path, info, mode); err != nil {
		e.none(seq)
		return err
	}
	after, err := root.Lstat(s.path)
	if err != nil {
		e.none(seq)
		return err
	}
	entry := mirror.Entry{State: s.to}
	*stampAt(&entry, s.side) = e.stampAfterChmod(info, after)
	*stampAt(&entry, other(s.side)) = mirror.SeenStamp(e.tree(other(s.side)).Get(s.path).Info, e.view.began)
	e.done(s, opChmod, seq, entry, "")
	e.showNew(s)
	e.report(s, "")
	return nil
}

// stampAfterChmod is zero, so that the path is looked at again, when more than the mode moved meanwhile.
func (e *engine) stampAfterChmod(before, after safety.Info) mirror.Stamp {
	if !before.SameFile(after) || before.Size != after.Size || before.Mtime != after.Mtime {
		return mirror.Stamp{}
	}
	return mirror.PlacedStamp(after)
}

func isNotEmpty(err error) bool {
	return errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST)
}
