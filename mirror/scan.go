package mirror

import (
	"context"
	"errors"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

// Side is one of the two trees.
type Side uint8

// The two sides.
const (
	ProjectSide Side = iota
	MirrorSide
)

func (s Side) String() string { return [...]string{"project", "mirror"}[s] }

// Found is one entry of a scan.
type Found struct {
	Info   safety.Info
	Target string // of a symlink, as readlink gives it
	Access dotfiles.Access
}

// Tree is one side as a scan found it.
type Tree struct {
	Entries map[safety.RelPath]Found // mirrored entries; on the mirror side also the top-most hidden ones
	Trouble []Skipped                // what could not be looked at; nothing may be concluded of these paths and below
}

// Scan lists one side, in parallel. On the project side it does not look into what the policy hides or excludes; on the
// mirror side entries at hidden paths are listed (the top-most of each; not what lies below), excluded ones are not.
// The marker and the README of ours are never listed.
func Scan(ctx context.Context, root *safety.Root, side Side, policy *dotfiles.Policy, workers int) (*Tree, error) {
	return nil, errors.ErrUnsupported
}

// Hash returns the content identity of the regular file p and the Info it had before and after; when it changed
// meanwhile it is hashed again, a few times, and then the error wraps safety.ErrChanged.
func Hash(ctx context.Context, root *safety.Root, p safety.RelPath) (Content, safety.Info, error) {
	return Content{}, safety.Info{}, errors.ErrUnsupported
}
