package autosync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// comparison finds the states of one path, hashing no more than the decision needs.
type comparison struct {
	ctx   context.Context
	path  safety.RelPath
	base  mirror.Entry
	sides [2]sideNow
}

// sideNow is one side of a comparison.
type sideNow struct {
	root  *safety.Root
	found mirror.Found
	moved bool // the stamp is not the base's
}

// nowhere is a content that is equal to no other: that of a base which was never hashed and is on neither side now.
const nowhere = -1

// states returns comparable states: two contents in them are equal exactly when the bytes are.
//
// A side whose stamp did not move has the base's state. A moved file is hashed where its size does not tell already
// that it differs from the base and from the other side. A base that was never hashed gets its hash from a side that
// did not move.
func (c *comparison) states() (base, project, mirrored mirror.State, err error) {
	p, m := &c.sides[mirror.ProjectSide], &c.sides[mirror.MirrorSide]
	base = c.base.State
	project, err = c.state(p, m)
	if err != nil {
		return
	}
	mirrored, err = c.state(m, p)
	if err != nil || base.Kind != safety.File || base.Content.Known() {
		return
	}
	switch {
	case !p.moved && project.Content.Known():
		base.Content = project.Content
	case !m.moved && mirrored.Content.Known():
		base.Content = mirrored.Content
	case p.moved && m.moved:
		base.Content = mirror.Content{Size: nowhere}
	}
	if !p.moved {
		project = base
	}
	if !m.moved {
		mirrored = base
	}
	return
}

func (c *comparison) state(s, other *sideNow) (mirror.State, error) {
	info := s.found.Info
	if info.Kind != safety.File {
		if !s.moved {
			return c.base.State, nil
		}
		return mirror.State{Kind: info.Kind, Target: s.found.Target}, nil
	}
	st := mirror.State{Kind: safety.File, Exec: info.Exec(), Content: mirror.Content{Size: info.Size}}
	if !s.moved {
		st = c.base.State
	}
	if !c.needsHash(s, other, st) {
		return st, nil
	}
	content, _, err := mirror.Hash(c.ctx, s.root, c.path)
	if errors.Is(err, fs.ErrPermission) && s == &c.sides[mirror.MirrorSide] {
		err = openUp(s.root, c.path, info, err)
	}
	st.Content = content
	return st, err
}

func (c *comparison) needsHash(s, other *sideNow, st mirror.State) bool {
	if st.Content.Known() {
		return false
	}
	sameAsOther := other.found.Info.Kind == safety.File && other.found.Info.Size == s.found.Info.Size
	if !s.moved { // of use only for telling whether the other side really differs
		return other.moved && sameAsOther
	}
	sameAsBase := c.base.State.Kind == safety.File && c.base.State.Content.Size == s.found.Info.Size
	return sameAsOther || sameAsBase
}

// openUp makes a file of the mirror readable for us: the agent may have taken the bit, and the file is ours. It counts as
// a change, to be looked at again.
func openUp(root *safety.Root, p safety.RelPath, info safety.Info, denied error) error {
	if info.Mode&0o400 != 0 || root.Chmod(p, info, info.Mode|0o400) != nil {
		return denied
	}
	return fmt.Errorf("read %s: %w", p, safety.ErrChanged)
}
