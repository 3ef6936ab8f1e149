package mirror

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/alca-mount/alca-mount/safety"
	"github.com/google/go-cmp/cmp"
)

// treeWorld is a mirror of which both sides were changed at random since it was built.
func treeWorld(t *testing.T, seed uint64) *Mirror {
	t.Helper()
	w := newWorld(t)
	r := rand.New(rand.NewPCG(seed, 3))
	name := func() string { return fmt.Sprintf("d%d/e%d/f%02d", r.IntN(2), r.IntN(2), r.IntN(80)) }
	for range 250 {
		mustWrite(t, filepath.Join(w.project, name()), "as it was")
	}
	if err := os.Symlink("f01", filepath.Join(w.project, "d0", "link")); err != nil {
		t.Fatal(err)
	}
	m := w.create(Options{Policy: everything(t)})
	for n := range r.IntN(30) {
		path := filepath.Join([]string{w.project, w.mirror}[r.IntN(2)], name())
		switch n % 5 {
		case 0:
			mustWrite(t, path, "changed")
		case 1:
			os.Remove(path)
		case 2:
			os.Chmod(path, 0o600)
		case 3:
			os.Link(path, path+"-again")
		case 4:
			if os.Remove(path) == nil {
				os.Mkdir(path, 0o755)
			}
		}
	}
	return m
}

func mustWrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// allOf is what a tree yields, without what nobody asks for.
func allOf(t *Tree) (paths []safety.RelPath, found []Found) {
	for p, f := range t.All() {
		f.Info.Blocks = 0
		paths, found = append(paths, p), append(found, f)
	}
	return paths, found
}

// A scan that holds what it finds against the base says the same as one that has none.
func TestTreeSaysWhatIsThereWhateverTheBase(t *testing.T) {
	for seed := range uint64(4) {
		m := treeWorld(t, seed)
		for _, side := range []Side{ProjectSide, MirrorSide} {
			bare := *m
			bare.Base = &Base{dirs: map[safety.RelPath]*baseDir{}, ownReadme: m.Base.ownReadme}
			plain, compact := scanOf(t, &bare, side), scanOf(t, m, side)
			wantPaths, want := allOf(plain)
			paths, found := allOf(compact)
			if diff := cmp.Diff(want, found) + cmp.Diff(wantPaths, paths); diff != "" || plain.Len() != compact.Len() {
				t.Fatalf("seed %d, %s, %d and %d entries: %s", seed, side, plain.Len(), compact.Len(), diff)
			}
			for i, p := range paths {
				got := compact.Get(p)
				if got.Info.Blocks = 0; got != found[i] {
					t.Errorf("seed %d, %s: Get(%s) is %+v, want %+v", seed, side, p, got, found[i])
				}
			}
			if got := compact.Get("d0/e0/never"); got != (Found{}) {
				t.Errorf("seed %d: %+v is nowhere", seed, got)
			}
		}
	}
}

// Moved against a walk over all paths, of a base that changed since the scans, too.
func TestMovedIsWhatTheBaseDoesNotSay(t *testing.T) {
	for seed := range uint64(4) {
		m := treeWorld(t, seed)
		project, mirrored := scanOf(t, m, ProjectSide), scanOf(t, m, MirrorSide)
		r := rand.New(rand.NewPCG(seed, 4))
		for round := range 3 {
			if diff := cmp.Diff(plainlyMoved(m.Base, project, mirrored), Moved(m.Base, project, mirrored)); diff != "" {
				t.Fatalf("seed %d, round %d: %s", seed, round, diff)
			}
			for range 5 {
				p := safety.RelPath(fmt.Sprintf("d%d/e%d/f%02d", r.IntN(2), r.IntN(2), r.IntN(80)))
				m.Base.Put(p, [...]Entry{{}, m.Base.Get("d0/e0/f01"), {State: State{Kind: safety.File}}}[r.IntN(3)])
			}
		}
	}
}

func plainlyMoved(b *Base, project, mirrored *Tree) []safety.RelPath {
	var out []safety.RelPath
	for p, e := range b.All() {
		if HasMoved(e.Project, project.Get(p)) || HasMoved(e.Mirror, mirrored.Get(p)) {
			out = append(out, p)
		}
	}
	for _, t := range []*Tree{project, mirrored} {
		for p := range t.All() {
			if b.Get(p).State.Absent() {
				out = append(out, p)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
