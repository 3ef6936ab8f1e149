package safety

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
)

// Shape is what a staged file is to look like besides its bytes.
type Shape struct {
	Mode  uint32 // permission bits; a replacement takes the target's and only the exec bits from here
	Mtime int64  // nanoseconds; 0: now
	Exact bool   // a replacement takes Mode whole, not the target's
	Apart bool   // a replaced hard link comes apart: its other names are not to change
	Stay  bool   // the inode at the path stays: what is mounted on it elsewhere would go with it
}

// Staged is new content that is complete but not yet placed.
type Staged struct {
	store   *Store
	seq     uint64
	path    RelPath
	expect  Info
	placing Placing
	shape   Shape // as it is to be: Mode is final
	info    Info
	birth   int64

	dirTimes [2]int64
	copied   Copied
	fd       int    // the staged inode, held open: by path it may be somebody else's a moment later
	name     string // in the store's folder; empty while the file has no name
	placed   bool
	kept     bool // the slot holds our copy of the target
	others   bool // the target has other names, which are not to change
	sum      [16]byte
	hasSum   bool
}

// Info describes the staged inode as it will be placed: the new stamp of that side. Placing moves its ctime, so take
// it after Place.
func (st *Staged) Info() Info { return st.info }

// Birth is when the staged inode was made, in nanoseconds since 1970, which tells it from a later one of its number; 0
// where the file system does not say.
func (st *Staged) Birth() int64 { return st.birth }

// DirTimes are the mtimes of the directory that holds the path, in nanoseconds, before Place and after; 0 where it was
// not placed, and of a store that is not durable.
func (st *Staged) DirTimes() [2]int64 { return st.dirTimes }

// Copied tells how the content came in.
func (st *Staged) Copied() Copied { return st.copied }

// Placing is how it will be placed.
func (st *Staged) Placing() Placing { return st.placing }

// Seq is the slot that it is staged in and that will hold the displaced version.
func (st *Staged) Seq() uint64 { return st.seq }

// ExpectSum makes Place compare the content of the displaced file with sum (128-bit xxh3) besides what its inode says.
// Worth it for small files: it alone sees a write of the same size, with mtime put back, in the instant of the
// exchange.
func (st *Staged) ExpectSum(sum [16]byte) { st.sum, st.hasSum = sum, true }

// Discard removes what is staged. After the file was placed it only releases its descriptor: what lies in the slot
// then is the user's.
func (st *Staged) Discard() error {
	closeFD(st.fd)
	st.fd = -1
	if st.placed || st.name == "" {
		return nil
	}
	s := st.store
	err := s.folder.use(func(folder int) error {
		there, err := lstatAt(s.root.sys, folder, st.name)
		if err != nil {
			return err
		}
		// The inode decides, not our own book-keeping: an exchange may have been made though its call failed.
		if there.SameFile(st.info) {
			err = s.drop(OpStageDrop, folder, st.name)
		}
		if st.kept { // the copy of a target that stays as it is
			err = errors.Join(err, s.drop(OpStageDrop, folder, slotName(st.seq)))
		}
		return err
	})
	st.name = ""
	return explain("discard", s.SlotPath(st.seq), err)
}

// target is what is to be replaced, and where.
type target struct {
	info       Info
	attrs      []xattr
	dir        Info
	dirOpen    bool // names may be changed in it
	mountPoint bool // a file mounted over the file: no rename can replace it
	otherMount bool // than the store
}

// planReplace decides how t can be replaced without harm. Whether owner and attributes can be given to a new inode is
// tried later; [Staged.giveLooks] says.
func planReplace(store Placing, t target, uid uint32) Placing {
	sticky := t.dir.Mode&0o1000 != 0 && uid != 0 && uid != t.dir.UID && uid != t.info.UID
	linked := t.info.Kind == File && t.info.Nlink > 1
	if linked || sticky || !t.dirOpen || t.mountPoint || t.otherMount {
		return InPlace
	}
	return store
}

// replaceMode is the target's mode with shape's exec bits. Setuid and setgid go, as they do when anybody writes to the
// file: they vouch for the old content.
func replaceMode(target, shape uint32) uint32 {
	mode := target & 0o777
	if shape&0o100 == target&0o100 {
		return mode
	}
	if shape&0o100 == 0 {
		return mode &^ 0o111
	}
	return mode | mode>>2&0o111 // whoever may read may execute
}

// StageReplacement stages src to replace the file or link at p, which must look like expect: with the target's owner,
// mode (exec bits from shape), ACL and xattrs. Where a new inode would do harm (owner, group, ACL or label can't be
// reproduced, more than one link, a sticky or unwritable directory with a writable file) it plans InPlace and
// keeps a durable copy of the target in the slot.
func (s *Store) StageReplacement(ctx context.Context, seq uint64, src descriptor, shape Shape, p RelPath, expect Info) (*Staged, error) {
	st := &Staged{store: s, seq: seq, path: p, expect: expect, shape: shape, fd: -1}
	err := s.both("stage", p, func(folder, parent int, name string) error {
		t, err := s.lookAt(folder, parent, name, expect)
		if err != nil {
			return err
		}
		if t.info.Kind == File && !shape.Exact {
			st.shape.Mode = replaceMode(t.info.Mode, shape.Mode)
		} else {
			st.shape.Mode &= 0o777
		}
		uid, _ := ownIDs()
		if shape.Apart {
			st.others, t.info.Nlink = t.info.Kind == File && t.info.Nlink > 1, 1
		}
		st.placing = planReplace(s.placing, t, uid)
		if shape.Stay {
			st.placing = InPlace
		}
		if t.info.Kind != File && st.placing == InPlace {
			return fmt.Errorf("a %v cannot be replaced here: %w", t.info.Kind, os.ErrPermission)
		}
		return st.write(ctx, folder, parent, name, src, t)
	})
	return st.orDiscard(err)
}

// orDiscard returns st, or removes every trace of it when err is not nil.
func (st *Staged) orDiscard(err error) (*Staged, error) {
	if err == nil {
		return st, nil
	}
	if e := st.Discard(); e != nil {
		err = errors.Join(err, e)
	}
	return nil, err
}

func (s *Store) lookAt(folder, parent int, name string, expect Info) (target, error) {
	y := s.root.sys
	fd, err := y.pin(OpPin, parent, name)
	if isAbsent(err) {
		return target{}, fmt.Errorf("%w: %w", ErrChanged, err)
	}
	if err != nil {
		return target{}, err
	}
	defer closeFD(fd)
	var t target
	if t.info, t.mountPoint, err = y.pinned(OpPin, fd, parent, name); err != nil {
		return t, err
	}
	if !unchanged(expect, t.info) || t.info.Kind != File && t.info.Kind != Symlink {
		return t, ErrChanged
	}
	if t.dir, err = y.fstat(OpPin, parent, name); err != nil {
		return t, err
	}
	way := s.wayTo(folder, parent, t.dir)
	t.dirOpen, t.otherMount = way.open, way.otherMount
	if t.info.Kind == File {
		t.attrs, err = readXattrs(y, OpPin, fd, name, isHarmAttr)
	}
	return t, err
}

// write makes the staged file, and for InPlace the copy of the target.
func (st *Staged) write(ctx context.Context, folder, parent int, name string, src descriptor, t target) error {
	file := slotName(st.seq)
	if st.placing != Exchange {
		file = stageName(st.seq)
	}
	if err := st.create(folder, file); err != nil {
		return err
	}
	if err := st.fill(ctx, src); err != nil {
		return err
	}
	faithful, err := st.giveLooks(t)
	if err != nil {
		return err
	}
	if !faithful && st.placing != InPlace {
		if t.info.Kind != File {
			return fmt.Errorf("owner %d:%d cannot be given: %w", t.info.UID, t.info.GID, os.ErrPermission)
		}
		if err := st.turnInPlace(folder); err != nil {
			return err
		}
	}
	if err := st.finish(!faithful); err != nil {
		return err
	}
	if st.placing == InPlace {
		if st.others && !st.shape.Stay {
			return fmt.Errorf("the file's other names would change with it: %w", os.ErrPermission)
		}
		return st.keepTarget(ctx, folder, parent, name)
	}
	return nil
}

func (st *Staged) create(folder int, name string) error {
	y := st.store.root.sys
	fd, err := y.create(OpStageCreate, folder, name, 0o600)
	if err != nil {
		return err
	}
	st.fd, st.name = fd, name
	// Known at once, so that Discard can tell its own file from anything else.
	st.info, err = y.fstat(OpStageStat, fd, name)
	if err != nil {
		st.name = ""
		return errors.Join(err, y.unlink(OpStageDrop, folder, name))
	}
	return nil
}

// fill copies the content. Any error (no space, quota, size limit, medium) leaves the target untouched.
func (st *Staged) fill(ctx context.Context, src descriptor) (err error) {
	c := st.store.root.copier
	if f, ok := src.(*Source); ok && st.info.Kind == File && ctx.Err() == nil { // both were looked at when they were opened
		k := copying{c: c, ctx: ctx, op: OpStageWrite, dst: st.fd, src: f.fd, name: f.Name(), end: endOf(f.info)}
		st.copied, err = k.do(f.info, st.info.Dev)
		return err
	}
	st.copied, err = c.copyTo(ctx, OpStageWrite, st.fd, src, endOf)
	return err
}

// giveLooks gives the staged file the target's owner and attributes, and looks whether it really has them.
func (st *Staged) giveLooks(t target) (faithful bool, err error) {
	y := st.store.root.sys
	if st.info.UID != t.info.UID || st.info.GID != t.info.GID {
		if err := y.fchown(OpStageMeta, st.fd, t.info.UID, t.info.GID, st.name); isDenied(err) {
			return false, nil
		} else if err != nil {
			return false, err
		}
	}
	if _, err := writeXattrs(y, OpStageMeta, st.fd, st.name, t.attrs); err != nil {
		return false, err
	}
	if err := y.fchmod(OpStageMeta, st.fd, st.shape.Mode, st.name); err != nil {
		return false, err
	}
	now, err := y.fstat(OpStageStat, st.fd, st.name)
	if err != nil || now.UID != t.info.UID || now.GID != t.info.GID {
		return false, err
	}
	has, err := readXattrs(y, OpStageMeta, st.fd, st.name, isHarmAttr)
	if t.info.Kind != File { // a link has nothing to compare with
		return true, err
	}
	return sameAttrs(has, t.attrs, now.Mode != t.info.Mode), err
}

// sameAttrs compares attributes. With modeMoved the ACL's own copy of the mode may differ, its being there may not.
func sameAttrs(a, b []xattr, modeMoved bool) bool {
	return slices.EqualFunc(a, b, func(x, y xattr) bool {
		return x.name == y.name && (string(x.data) == string(y.data) || modeMoved && x.name == accessACL)
	})
}

// turnInPlace frees the slot for the copy of the target.
func (st *Staged) turnInPlace(folder int) error {
	y, to := st.store.root.sys, stageName(st.seq)
	if err := y.rename(OpStageMeta, folder, st.name, folder, to, overwrite); err != nil {
		return err
	}
	st.name, st.placing = to, InPlace
	return nil
}

// finish sets time and, where giveLooks has not, mode last, since writing and chown move them, and makes the content
// durable.
func (st *Staged) finish(setMode bool) error {
	y := st.store.root.sys
	if setMode {
		if err := y.fchmod(OpStageMeta, st.fd, st.shape.Mode, st.name); err != nil {
			return err
		}
	}
	if st.shape.Mtime != 0 {
		if err := y.setTimesFD(OpStageMeta, st.fd, st.shape.Mtime, st.name); err != nil {
			return err
		}
	}
	if st.store.durable {
		if err := y.fsync(OpStageFsync, st.fd, st.name); err != nil {
			return err
		}
	}
	now, birth, err := y.statBirth(OpStageStat, st.fd, st.name)
	if err == nil && now.Size != st.copied.Bytes {
		err = fmt.Errorf("staged %d bytes of %d", now.Size, st.copied.Bytes)
	}
	if err == nil {
		st.info, st.birth = now, birth
	}
	return err
}

// StageNew stages src as a new file at p: unnamed in p's directory (O_TMPFILE, so that default ACLs and setgid groups
// are inherited), else in the slot. As root the new file takes the directory's owner. Setuid and setgid never cross.
func (s *Store) StageNew(ctx context.Context, seq uint64, src descriptor, shape Shape, p RelPath) (*Staged, error) {
	shape.Mode &= 0o777
	st := &Staged{store: s, seq: seq, path: p, shape: shape, placing: NewName, fd: -1}
	err := s.both("stage", p, func(folder, parent int, name string) error {
		if there, err := lstatAt(s.root.sys, parent, name); err != nil || there.Kind != Absent {
			return errors.Join(ErrChanged, err)
		}
		if err := st.createIn(folder, parent); err != nil {
			return err
		}
		if err := takeOwner(s.root.sys, OpStageMeta, parent, st.fd, name, shape.Mode); err != nil {
			return err
		}
		if err := st.fill(ctx, src); err != nil {
			return err
		}
		return st.finish(true)
	})
	return st.orDiscard(err)
}

// createIn makes an unnamed file in the directory, or one in the slot with what the directory would hand down.
func (st *Staged) createIn(folder, parent int) error {
	y := st.store.root.sys
	fd, err := y.tmpfile(OpStageCreate, parent, st.shape.Mode)
	if err == nil {
		st.fd = fd
		return nil
	}
	if !isNoTmpfile(err) {
		return err
	}
	if err := st.create(folder, slotName(st.seq)); err != nil {
		return err
	}
	dir, err := y.fstat(OpStageMeta, parent, st.name)
	if err != nil {
		return err
	}
	if dir.Mode&0o2000 != 0 && dir.GID != st.info.GID {
		if err := y.fchown(OpStageMeta, st.fd, st.info.UID, dir.GID, st.name); err != nil {
			return err
		}
	}
	acl, err := xattrValue(y, OpStageMeta, parent, defaultACL)
	if err != nil { // none, or no such thing here
		return nil
	}
	missing, err := writeXattrs(y, OpStageMeta, st.fd, st.name, []xattr{{accessACL, acl}})
	if missing > 0 {
		return fmt.Errorf("the directory's default ACL cannot be given: %w", errors.ErrUnsupported)
	}
	return err
}

// StageLink stages a symbolic link to link for p; expect is what is there now (Info{}: nothing).
func (s *Store) StageLink(seq uint64, link string, p RelPath, expect Info) (*Staged, error) {
	st := &Staged{store: s, seq: seq, path: p, expect: expect, placing: s.placing, fd: -1}
	err := s.both("stage", p, func(folder, parent int, name string) error {
		now, err := lstatAt(s.root.sys, parent, name)
		if err != nil {
			return err
		}
		if now.Kind != expect.Kind || expect.Kind != Absent && !unchanged(expect, now) || now.Kind == Directory {
			return ErrChanged
		}
		if now.Kind == Absent {
			st.placing = NewName
		}
		return st.makeLink(folder, parent, link)
	})
	return st.orDiscard(err)
}

func (st *Staged) makeLink(folder, parent int, link string) error {
	y, name := st.store.root.sys, slotName(st.seq)
	if st.placing == RenameAway {
		name = stageName(st.seq)
	}
	if err := y.symlink(OpStageCreate, link, folder, name); err != nil {
		return err
	}
	fd, err := y.pin(OpStageStat, folder, name)
	if err == nil {
		st.fd, st.name = fd, name
		st.info, st.birth, err = y.statBirth(OpStageStat, fd, name)
	}
	if err != nil {
		return errors.Join(err, st.store.drop(OpStageDrop, folder, name))
	}
	if _, root := ownIDs(); !root {
		return nil
	}
	dir, err := y.fstat(OpStageMeta, parent, name)
	if err == nil && dir.UID != st.info.UID {
		err = y.lchown(OpStageMeta, folder, name, dir.UID, dir.GID)
	}
	return err
}
