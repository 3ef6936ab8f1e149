package autosync

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// The flags are for longer runs than CI's and for running one case again.
func modelFlags() (cases, seed *uint64) {
	return flag.Uint64("plan.cases", 30_000, "random cases of the planner's model test"),
		flag.Uint64("plan.seed", 0, "run this one case; 0: all")
}

var planCases, planSeed = modelFlags()

type tree map[safety.RelPath]mirror.State

// world is a naive model of both sides: maps of paths, and all that was ever set aside.
type world struct {
	base, project, mirror tree
	kept                  map[mirror.State]bool
}

func modelAccess(p safety.RelPath) dotfiles.Access {
	for elem := range strings.SplitSeq(p.String(), "/") {
		switch elem[0] {
		case 'h':
			return dotfiles.Hidden
		case 'r':
			return dotfiles.ReadOnly
		case 'g':
			return dotfiles.OneWay
		}
	}
	return dotfiles.Writable
}

// modelGuard guards whatever is called x, and all below it.
func modelGuard(p safety.RelPath) string {
	if strings.Contains("/"+p.String()+"/", "/x/") {
		return "guarded"
	}
	return ""
}

func randomWorld(r *rand.Rand) *world {
	w := &world{base: tree{}, mirror: tree{}, kept: map[mirror.State]bool{}}
	content := byte(0)
	project := tree{}
	mutate(r, project, 1+r.IntN(12), &content)
	w.project = project
	for p, s := range project {
		if modelAccess(p).Mirrored() {
			w.base[p], w.mirror[p] = s, s
		}
	}
	mutate(r, w.project, r.IntN(8), &content)
	mutate(r, w.mirror, r.IntN(8), &content)
	return w
}

// mutate makes, changes, removes and moves entries of a tree, keeping it a tree.
func mutate(r *rand.Rand, t tree, steps int, content *byte) {
	names := []string{"a", "b", "h", "r", "g", "x"}
	pick := func() safety.RelPath {
		p := safety.Top
		for range 1 + r.IntN(3) {
			p = p.Join(names[r.IntN(9)%len(names)])
		}
		return p
	}
	for range steps {
		p := pick()
		switch r.IntN(6) {
		case 0:
			t.remove(p)
		case 1:
			q := pick()
			if _, there := t[p]; there && !q.In(p) && !p.In(q) {
				t.move(p, q)
			}
		case 2:
			t.put(p, mirror.State{Kind: safety.Directory})
		default:
			*content++
			s := mirror.State{Kind: safety.File, Exec: r.IntN(4) == 0, Content: mirror.Content{Size: 1, Sum: [16]byte{*content}}}
			if r.IntN(8) == 0 {
				s = mirror.State{Kind: safety.Symlink, Target: fmt.Sprint("t", *content)}
			}
			t.put(p, s)
		}
	}
}

func (t tree) remove(p safety.RelPath) {
	for q := range t {
		if q.In(p) {
			delete(t, q)
		}
	}
}

func (t tree) put(p safety.RelPath, s mirror.State) {
	if s.Kind != safety.Directory || t[p].Kind != safety.Directory {
		t.remove(p)
	}
	for _, dir := range p.Parents() {
		t[dir] = mirror.State{Kind: safety.Directory}
	}
	t[p] = s
}

func (t tree) move(from, to safety.RelPath) {
	moved := tree{}
	for p, s := range t {
		if p.In(from) {
			moved[to+p[len(from):]] = s
		}
	}
	t.remove(from)
	for _, p := range slices.Sorted(maps.Keys(moved)) {
		t.put(p, moved[p])
	}
}

func (w *world) looks() []look {
	paths := map[safety.RelPath]bool{}
	for _, t := range []tree{w.base, w.project, w.mirror} {
		for p := range t {
			if modelAccess(p).Mirrored() || p.Dir() == safety.Top || modelAccess(p.Dir()).Mirrored() {
				paths[p] = true
			}
		}
	}
	var looks []look
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		lk := look{path: p, access: modelAccess(p), base: w.base[p], project: w.project[p], mirrored: w.mirror[p]}
		if !lk.access.Mirrored() {
			lk.project = mirror.State{} // a scan does not look at it
		}
		if lk.mirrored.Kind == safety.Symlink && lk.mirrored.Target[1]%4 == 0 {
			lk.barred = "leads outside"
		}
		lk.guarded = modelGuard(p)
		lk.hiddenBelow = lk.project.Kind == safety.Directory && w.project.hidesBelow(p)
		looks = append(looks, lk)
	}
	return looks
}

func (t tree) hidesBelow(p safety.RelPath) bool { return t.holdsBelow(p, dotfiles.Excluded) }

// holdsBelow reports whether something below p has at most the access most.
func (t tree) holdsBelow(p safety.RelPath, most dotfiles.Access) bool {
	for q := range t {
		if q != p && q.In(p) && modelAccess(q) <= most {
			return true
		}
	}
	return false
}

// apply does a plan's steps as a file system would: no entry without its directory, no removal of a full directory.
func (w *world) apply(pl plan) error {
	for _, p := range pl.adopt {
		if w.project[p] != w.mirror[p] {
			return fmt.Errorf("adopt %s: project %v, mirror %v", p, w.project[p], w.mirror[p])
		}
		w.base[p] = w.project[p]
	}
	for _, p := range pl.forget {
		delete(w.base, p)
	}
	for i, s := range slices.Concat(pl.clear, pl.put, pl.remove) {
		if i < len(pl.clear) && s.side == mirror.MirrorSide {
			w.moveAside(s.path)
		}
		if err := w.applyStep(pl, s); err != nil {
			return fmt.Errorf("%v %s %s: %w", s.action, s.side, s.path, err)
		}
	}
	return nil
}

// moveAside keeps what a mirror directory that has to go still holds: refused and orphaned entries.
func (w *world) moveAside(dir safety.RelPath) {
	for q, s := range w.mirror {
		if q != dir && q.In(dir) {
			w.kept[s] = true
			delete(w.mirror, q)
		}
	}
}

func (w *world) applyStep(pl plan, s step) error {
	t, other := w.project, w.mirror
	if s.side == mirror.MirrorSide {
		t, other = w.mirror, w.project
	}
	if t[s.path] != s.from {
		return fmt.Errorf("holds %v, the plan thought %v", t[s.path], s.from)
	}
	if s.side == mirror.ProjectSide || s.keep != keepNothing {
		w.kept[s.from] = true
	}
	if s.to.Absent() {
		for q := range t {
			if q != s.path && q.In(s.path) {
				if s.side == mirror.ProjectSide && modelAccess(q).Mirrored() && !t.hidesBelow(q) ||
					s.side == mirror.MirrorSide && !t.holdsBelow(q, dotfiles.OneWay) && !noted(pl, q) && modelAccess(q) == dotfiles.Writable {
					return fmt.Errorf("directory still holds %s", q)
				}
				delete(w.base, s.path)
				return nil // hidden residue, refused entries
			}
		}
		delete(t, s.path)
		delete(w.base, s.path)
		return nil
	}
	if dir := s.path.Dir(); dir != safety.Top && t[dir].Kind != safety.Directory {
		return fmt.Errorf("no directory %s", dir)
	}
	if (s.from.Kind == safety.Directory) != (s.to.Kind == safety.Directory) && !s.from.Absent() {
		return fmt.Errorf("%v over %v in one step", s.to, s.from)
	}
	t[s.path] = s.to
	if other[s.path] == s.to {
		w.base[s.path] = s.to
	}
	return nil
}

func (w *world) clone() *world {
	return &world{base: maps.Clone(w.base), project: maps.Clone(w.project), mirror: maps.Clone(w.mirror), kept: maps.Clone(w.kept)}
}

func has(t tree, want mirror.State) bool {
	for _, s := range t {
		if s == want {
			return true
		}
	}
	return false
}

// lost names a version that somebody made and that is nowhere any more.
func lost(before, after *world) error {
	for p, s := range before.project {
		if s.Kind != safety.Directory && !has(after.project, s) && !after.kept[s] {
			return fmt.Errorf("the project's version of %s is lost", p)
		}
	}
	for p, s := range before.mirror {
		if s.Kind == safety.Directory || s == before.base[p] {
			continue
		}
		if !has(after.project, s) && !has(after.mirror, s) && !after.kept[s] {
			return fmt.Errorf("the mirror's version of %s is lost", p)
		}
	}
	return nil
}

// crossed names a path of the project that the agent may not change and that changed.
func crossed(before, after *world) error {
	for p := range after.project {
		if after.project[p] == before.project[p] {
			continue
		}
		if modelAccess(p) != dotfiles.Writable {
			return fmt.Errorf("%s %s changed in the project", modelAccess(p), p)
		}
		if modelGuard(p) != "" && after.project[p].Kind != safety.Directory {
			return fmt.Errorf("guarded %s changed in the project", p)
		}
	}
	for p := range before.project {
		guarded := modelGuard(p) != "" && before.project[p].Kind != safety.Directory
		if (modelAccess(p) != dotfiles.Writable || guarded) && after.project[p] != before.project[p] {
			return fmt.Errorf("%s %s changed in the project", modelAccess(p), p)
		}
	}
	for p := range after.mirror {
		if modelAccess(p) == dotfiles.Hidden && after.mirror[p] != before.mirror[p] {
			return fmt.Errorf("hidden %s came into the mirror", p)
		}
	}
	return nil
}

func modelLimits() limits { return limits{deletes: true, toMirror: true, startFiles: 1000} }

func runModel(w *world) error {
	start := w.clone()
	for round := range 4 {
		pl := makePlan(w.looks(), modelLimits())
		if len(pl.adopt)+len(pl.forget)+len(pl.clear)+len(pl.put)+len(pl.remove) == 0 {
			return cmp.Or(lost(start, w), crossed(start, w), unequal(w))
		}
		if round == 3 {
			return fmt.Errorf("no fixpoint after 3 rounds: %+v", pl)
		}
		if err := w.apply(pl); err != nil {
			return err
		}
	}
	return nil
}

// unequal names a path at which the sides differ though the plan has nothing more to do and reports nothing about it.
func unequal(w *world) error {
	pl := makePlan(w.looks(), modelLimits())
	frozen := slices.ContainsFunc(w.looks(), func(lk look) bool {
		return Decide(lk.access, lk.base, lk.project, lk.mirrored) == FreezeGit
	})
	for _, lk := range w.looks() {
		if lk.access == dotfiles.OneWay && frozen {
			continue
		}
		if lk.access.Mirrored() && lk.project != lk.mirrored && !noted(pl, lk.path) && !lk.isResidue() {
			return fmt.Errorf("%s: project %v, mirror %v, and nothing is said", lk.path, lk.project, lk.mirrored)
		}
	}
	return nil
}

// noted reports whether a plan says something of p, of a directory above it or of something below it.
func noted(pl plan, p safety.RelPath) bool {
	return slices.ContainsFunc(slices.Concat(pl.refused, pl.held, pl.orphans, pl.pending), func(n PathNote) bool {
		return p.In(n.Path) || n.Path.In(p)
	})
}

func TestPlanModel(t *testing.T) {
	first, n := uint64(1), *planCases
	if *planSeed != 0 {
		first, n = *planSeed, 1
	}
	for seed := first; seed < first+n; seed++ {
		w := randomWorld(rand.New(rand.NewPCG(seed, 0)))
		if runModel(w.clone()) == nil {
			continue
		}
		small := shrink(w)
		t.Fatalf("-plan.seed=%d: %v\nshrunk:\n%s", seed, runModel(small.clone()), small)
	}
}

// shrink takes entries out of a failing world as long as it still fails.
func shrink(w *world) *world {
	for again := true; again; {
		again = false
		for _, pick := range []func(*world) tree{
			func(w *world) tree { return w.project }, func(w *world) tree { return w.mirror }, func(w *world) tree { return w.base },
		} {
			for _, p := range slices.Sorted(maps.Keys(pick(w))) {
				smaller := w.clone()
				pick(smaller).remove(p)
				if len(pick(smaller)) < len(pick(w)) && runModel(smaller.clone()) != nil {
					w, again = smaller, true
				}
			}
		}
	}
	return w
}

func show(s mirror.State) string {
	switch s.Kind {
	case safety.File:
		return fmt.Sprintf("file%d%v", s.Content.Sum[0], s.Exec)
	case safety.Symlink:
		return "->" + s.Target
	}
	return s.Kind.String()
}

func (w *world) String() string {
	var b strings.Builder
	for _, lk := range w.looks() {
		fmt.Fprintf(&b, "%-10s %-8s base %-12s project %-12s mirror %s\n", lk.path, lk.access, show(lk.base), show(lk.project), show(lk.mirrored))
	}
	return b.String()
}
