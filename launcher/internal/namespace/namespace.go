// Package namespace runs a command in Linux namespaces of its own, in which the project's path is the mirror.
//
// The command is the same user on the same machine, with the same tools and the same login. What the mirror leaves out
// is not there under any path that a mount leads to, and what is read-only in it the kernel keeps from changing. A place
// that can't be built so is an error, never a weaker place.
//
// The program that launches is started again as the namespaces' first process: its main has to call [Inside] first.
// That process, the init, builds the mounts, keeps the capabilities for it that nobody else in there has, starts the
// command, and by its end takes every process with it.
package namespace

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/alca-mount/alca-mount/safety"
)

// ErrEnded says that there is nobody in the namespace any more.
var ErrEnded = errors.New("the namespace's first process is gone")

// Refusal is the kernel's no to the namespaces, with what is in the way and how to allow it.
type Refusal struct {
	Why, Fix string // Fix may be "": nobody here knows
	Err      error
}

func (r *Refusal) Error() string {
	if r.Fix == "" {
		return fmt.Sprintf("%s: %v", r.Why, r.Err)
	}
	return fmt.Sprintf("%s (to allow them: %s): %v", r.Why, r.Fix, r.Err)
}

// Unwrap returns the kernel's own error.
func (r *Refusal) Unwrap() error { return r.Err }

// Options of one namespace. All paths but ReadOnly's are absolute and real.
type Options struct {
	Project string // where the mirror is shown
	Mirror  string
	State   string // not to be reached from inside, like the mirror's own path
	Shown   string // a directory of ours that takes the versions of Show

	Binds         []Bind
	ReadOnly      []ReadOnly
	Hide          []string // paths of the host that are not to be reached
	AllowSockets  []string // sockets that stay, of those that are hidden by themselves
	NoNetwork     bool
	ConfineWrites bool
	Writable      []string // further directories and files that ConfineWrites leaves writable
	Places        []string // likewise, below the home directory
}

// Bind is a directory that CMD sees in place of one of the mirror's, and may write to.
type Bind struct {
	Source string // absolute
	Path   safety.RelPath
}

// ReadOnly is an entry of the mirror that CMD may not change.
type ReadOnly struct {
	Path safety.RelPath
	Dir  bool // with all that is and comes to be below
}

// Facts are what holds in a namespace that was built.
type Facts struct {
	Enforced []string
	Warnings []string
}

// Open starts a namespace and builds it.
func Open(ctx context.Context, o Options) (*Namespace, Facts, error) {
	n, err := Start(o.NoNetwork)
	if err != nil {
		return nil, Facts{}, err
	}
	facts, err := n.Build(ctx, o)
	if err != nil {
		return nil, Facts{}, err
	}
	return n, facts, nil
}

// within reports whether p is dir or lies below it. Both are absolute and clean.
func within(dir, p string) bool {
	return dir == p || dir == "/" || strings.HasPrefix(p, dir+"/")
}

// under is p, which lies within dir, as seen from another place of dir.
func under(place, dir, p string) string {
	return path.Join(place, strings.TrimPrefix(p, dir))
}
