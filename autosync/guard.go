package autosync

import (
	"os"
	"path"
	"strings"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// guard says which changes of the agent's wait for the user's word because a tool of the host would execute them.
// nil: none.
type guard struct {
	names *dotfiles.Guard
	root  *safety.Root                      // the project's
	leads map[safety.RelPath]safety.RelPath // where guarded links of the project lead, and other links on the way → the link
}

// newGuard makes the guard that options ask for.
func newGuard(m *mirror.Mirror, opts Options) (*guard, error) {
	if opts.AllowGuarded || opts.Approved {
		return nil, nil
	}
	g := &guard{names: opts.Guarded, root: m.Project, leads: map[safety.RelPath]safety.RelPath{}}
	if g.names != nil {
		return g, nil
	}
	var err error
	g.names, err = dotfiles.NewGuard(dotfiles.GuardedDefault())
	return g, err
}

// why says why a change at p waits; "" when it need not. kinds are what the path is on either side and in the base.
func (g *guard) why(p safety.RelPath, kinds ...safety.Kind) string {
	if g == nil {
		return ""
	}
	for _, kind := range kinds {
		if kind != safety.Absent && g.guards(p, kind) {
			return "a tool may execute it by itself; --allow-guarded lets that pass"
		}
	}
	for _, dir := range append(p.Parents(), p) {
		if link, ok := g.leads[dir]; ok {
			return "the link " + link.String() + " leads there, and a tool may execute it by itself; --allow-guarded lets that pass"
		}
	}
	return ""
}

func (g *guard) guards(p safety.RelPath, kind safety.Kind) bool {
	if kind == safety.Symlink {
		_, ok := g.names.GuardsLink(string(p))
		return ok
	}
	_, ok := g.names.Guards(string(p), kind == safety.Directory)
	return ok
}

// learn takes in where the guarded links of the project lead: what a tool finds there it executes as well.
func (g *guard) learn(project *mirror.Tree) {
	if g == nil {
		return
	}
	for p, f := range project.Links() {
		if g.guards(p, safety.Symlink) {
			g.follow(p, f.Target)
		}
	}
}

// learnBase is learn from what both sides agreed on last, without a look at the project.
func (g *guard) learnBase(base *mirror.Base) {
	if g == nil {
		return
	}
	for p, e := range base.Unsorted() {
		if e.State.Kind == safety.Symlink && g.guards(p, safety.Symlink) {
			g.follow(p, e.State.Target)
		}
	}
}

// maxHops is how many links are followed to resolve one path; Linux stops there too (path_resolution(7)).
const maxHops = 40

// follow notes the end of a link and the links on its way, as the kernel walks them: also out of the project and in
// again. A directory around the link itself is not noted: all would wait.
func (g *guard) follow(link safety.RelPath, target string) {
	at, todo := enter(path.Join(g.root.Path(), string(link)), target)
	for hops := 0; len(todo) > 0; {
		at = path.Join(at, todo[0]) // real by now: that ".." leads to the directory that it is in
		todo = todo[1:]
		next, err := g.readlink(at)
		if err != nil {
			continue // no link, or nothing yet
		}
		if hops++; hops > maxHops {
			return
		}
		g.note(at, link)
		var more []string
		at, more = enter(at, next)
		todo = append(more, todo...)
	}
	g.note(at, link)
}

// enter is the directory in which a link's target begins, and the names from there.
func enter(link, target string) (at string, todo []string) {
	if path.IsAbs(target) {
		return "/", strings.Split(target, "/")
	}
	return path.Dir(link), strings.Split(target, "/")
}

func (g *guard) readlink(at string) (string, error) {
	if p, ok := g.inside(at); ok {
		return g.root.Readlink(p)
	}
	return os.Readlink(at)
}

func (g *guard) note(at string, link safety.RelPath) {
	if p, ok := g.inside(at); ok && p != safety.Top && !link.In(p) {
		g.leads[p] = link
	}
}

// inside is the project's entry at a real path.
func (g *guard) inside(at string) (safety.RelPath, bool) {
	top := strings.TrimSuffix(g.root.Path(), "/")
	if at == top {
		return safety.Top, true
	}
	rest, ok := strings.CutPrefix(at, top+"/")
	return safety.RelPath(rest), ok
}
