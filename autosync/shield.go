package autosync

import (
	"os"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// Shield keeps CMD from what is read-only in the mirror by other means than mode bits, entry by entry: a mount on each.
// A mount goes with the directory entry that it is on, so what lies below a shield must not be replaced but rewritten.
type Shield interface {
	// Show makes version what CMD sees at the file p, before the mirror's own is rewritten, in place. After an error it
	// is replaced as it would be without a shield.
	Show(p safety.RelPath, version *os.File) error
	// Protect makes a directory that was just made, and all that comes to be below, unchangeable for CMD.
	Protect(dir safety.RelPath) error
}

// shielded reports whether a path of the mirror has a shield of its own: what is read-only in no read-only directory.
func (e *engine) shielded(side mirror.Side, p safety.RelPath, dir bool) bool {
	if e.opts.Shield == nil || side != mirror.MirrorSide || e.m.Policy.Access(string(p), dir) != dotfiles.ReadOnly {
		return false
	}
	parent := p.Dir()
	return parent == safety.Top || e.m.Policy.Access(string(parent), true) != dotfiles.ReadOnly
}

// ready is what a step is to find at its path, and whether that is to stay the same inode.
type ready struct {
	expect safety.Info
	stays  bool
}

// showFirst shows CMD the version that is about to be written into the file at s.path, and opens that file for us: from
// now on CMD has no way to it.
func (e *engine) showFirst(s step) ready {
	r := ready{expect: e.expectation(s)}
	if r.expect.Kind != safety.File || s.to.Kind != safety.File || !e.shielded(s.side, s.path, false) {
		return r
	}
	version, info, err := e.root(other(s.side)).Open(s.path)
	if err != nil {
		return r // staging says so, too
	}
	defer version.Close()
	if mirror.StampOf(info) != mirror.StampOf(e.tree(other(s.side)).Get(s.path).Info) {
		return r
	}
	if err := e.opts.Shield.Show(s.path, version); err != nil {
		e.unshielded(s.path, err)
		return r
	}
	r.stays = true
	if e.m.Root.Chmod(s.path, r.expect, r.expect.Mode|0o600) != nil {
		return r
	}
	now, err := e.m.Root.Lstat(s.path)
	if err == nil && now.SameFile(r.expect) && now.Size == r.expect.Size && now.Mtime == r.expect.Mtime {
		r.expect = now // the chmod moved its ctime; nobody but us has it in sight
	}
	return r
}

// showNew shows CMD a file that was just placed where none was, or got another mode.
func (e *engine) showNew(s step) {
	if s.to.Kind != safety.File || !e.shielded(s.side, s.path, false) {
		return
	}
	version, _, err := e.m.Project.Open(s.path)
	if err == nil {
		defer version.Close()
		err = e.opts.Shield.Show(s.path, version)
	}
	if err != nil {
		e.unshielded(s.path, err)
	}
}

// protectNew shields a directory that was just made.
func (e *engine) protectNew(s step) {
	if !e.shielded(s.side, s.path, true) {
		return
	}
	if err := e.opts.Shield.Protect(s.path); err != nil {
		e.unshielded(s.path, err)
	}
}

// unshielded tells that a path is write-protected by mode bits alone.
func (e *engine) unshielded(p safety.RelPath, err error) {
	e.emit(Degraded, p, ToMirror, "write-protected by mode bits only: "+err.Error(), "")
}
