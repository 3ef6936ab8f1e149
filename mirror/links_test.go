package mirror

import (
	"path"
	"strings"
	"testing"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

func TestLinkForKeepsInsideAndMakesAbsoluteRelative(t *testing.T) {
	for _, c := range []struct {
		link, target string
		want         string // "": not ok
	}{
		{"l", "a", "a"},
		{"l", "a/../b", "a/../b"},
		{"l", ".", "."},
		{"d/l", "..", ".."},
		{"d/l", "../x", "../x"},
		{"l", "dir/", "dir/"},
		{"l", "..", ""},
		{"l", "../proj/x", ""},
		{"d/l", "../../x", ""},
		{"d/l", "a/../../../x", ""},
		{"l", "", ""},
		{"l", "/etc/passwd", ""},
		{"l", "/home/u/project2/x", ""},
		{"l", "/home/u/proj/../x", ""},
		{"l", "/home/u", ""},
		{"l", "/home/u/proj", "."},
		{"l", "/home/u/proj/a/b", "a/b"},
		{"l", "/home/u/proj//a/./b/", "a/b"},
		{"d/e/l", "/home/u/proj/d/e/x", "x"},
		{"d/e/l", "/home/u/proj/d/x", "../x"},
		{"d/e/l", "/home/u/proj", "../.."},
		{"d/e/l", "/home/u/proj/d/e", "."},
		{"d/l", "/home/u/proj/dd/x", "../dd/x"},
		{"l", "/home/x/../u/proj/a", "a"},
		{"l", "a\nb\xff", "a\nb\xff"},
	} {
		got, ok, why := LinkFor("/home/u/proj", safety.RelPath(c.link), c.target)
		if got != c.want || ok != (c.want != "") || ok != (why == "") {
			t.Errorf("LinkFor(%q, %q) = %q, %v, %q, want %q", c.link, c.target, got, ok, why, c.want)
		}
	}
}

func FuzzLinkForStaysInsideAndIsIdempotent(f *testing.F) {
	f.Add("d/l", "../x")
	f.Add("l", "/p/q/x/../..")
	f.Fuzz(func(t *testing.T, link, target string) {
		p, err := safety.ParseRelPath(link)
		if err != nil || p == safety.Top {
			t.Skip()
		}
		got, ok, _ := LinkFor("/p/q", p, target)
		if !ok {
			return
		}
		if path.IsAbs(got) || leaves(path.Join(string(p.Dir()), got)) {
			t.Fatalf("LinkFor(%q, %q) = %q leads outside", link, target, got)
		}
		if again, ok, _ := LinkFor("/p/q", p, got); !ok || again != got {
			t.Fatalf("LinkFor(%q, %q) = %q, and of that %q", link, target, got, again)
		}
		if path.IsAbs(target) && path.Join("/p/q", string(p.Dir()), got) != path.Clean(target) {
			t.Fatalf("LinkFor(%q, %q) = %q leads elsewhere", link, target, got)
		}
	})
}

// linkTree is a tree in memory: "name/" a directory, "name" a file, "name -> target" a link.
type linkTree map[safety.RelPath]string

func newLinkTree(lines ...string) linkTree {
	t := linkTree{}
	for _, line := range lines {
		name, target, isLink := strings.Cut(line, " -> ")
		dir := strings.HasSuffix(name, "/")
		p := safety.RelPath(strings.TrimSuffix(name, "/"))
		for _, up := range p.Parents() {
			t[up] = "/"
		}
		switch {
		case isLink:
			t[p] = ">" + target
		case dir:
			t[p] = "/"
		default:
			t[p] = "."
		}
	}
	return t
}

func (t linkTree) Lstat(p safety.RelPath) (safety.Info, error) {
	for _, up := range p.Parents() {
		if t[up] != "/" {
			return safety.Info{}, nil
		}
	}
	switch s := t[p]; {
	case s == "":
		return safety.Info{}, nil
	case s[0] == '/':
		return safety.Info{Kind: safety.Directory}, nil
	case s[0] == '>':
		return safety.Info{Kind: safety.Symlink}, nil
	}
	return safety.Info{Kind: safety.File}, nil
}

func (t linkTree) Readlink(p safety.RelPath) (string, error) { return t[p][1:], nil }

// namePolicy hides what is called "secret", excludes "node_modules", and of "vault" only the directory.
type namePolicy struct{}

func (namePolicy) Access(rel string, isDir bool) dotfiles.Access {
	elems := strings.Split(rel, "/")
	for i, e := range elems {
		switch {
		case e == "secret", e == "vault" && (isDir || i < len(elems)-1):
			return dotfiles.Hidden
		case e == "node_modules":
			return dotfiles.Excluded
		}
	}
	return dotfiles.Writable
}

var linkCases = []struct {
	link   string // "path -> target", a member of the tree too
	keep   string // "": left out
	follow string // "": left out
}{
	{"l -> a/f", "a/f", "a/f"},
	{"a/l -> f", "f", "a/f"},
	{"a/l -> ../a/f", "../a/f", "a/f"},
	{"l -> a", "a", ""},
	{"l -> missing", "missing", ""},
	{"l -> missing/../a/f", "missing/../a/f", ""},
	{"l -> .", ".", ""},
	{"l -> l", "l", ""},
	{"l -> l/x", "l/x", ""},
	{"l -> /p/q/a/f", "a/f", "a/f"},
	{"l -> /p/q", ".", ""},
	{"l -> /p/q/../q/a/f", "", ""},
	{"l -> ../q/a/f", "", ""},
	{"l -> /etc/passwd", "", ""},
	{"l -> ../x", "", ""},
	{"l -> secret", "", ""},
	{"l -> a/secret", "", ""},
	{"l -> secret/missing", "", ""},
	{"l -> missing/secret", "", ""},
	{"l -> a/../secret", "", ""},
	{"l -> vault", "", ""},
	{"l -> vault/x", "", ""},
	{"l -> goes/secret", "", ""},     // through a directory link
	{"l -> tohidden", "", ""},        // to a link that leads to a hidden file
	{"l -> tohidden/../a/f", "", ""}, // through it
	{"l -> outside", "", ""},
	{"l -> outside/x", "", ""},
	{"l -> abroad", "", ""},
	{"l -> abroad/passwd", "", ""},
	{"l -> chain1", "chain1", "a/f"},
	{"l -> up/../x", "", ""},       // its text stays inside; up leads to the top, and .. of that is outside
	{"l -> abs/f", "abs/f", "a/f"}, // abs is an absolute link into the project
	{"l -> node_modules/x", "node_modules/x", ""},
	{"l -> node_modules/../secret", "", ""},
	{"l -> a/f/x", "a/f/x", ""},
	{"l -> loop1", "loop1", ""},
}

func TestDecideLinkKeepsOnlyWhatStaysInsideAndSeen(t *testing.T) {
	for _, c := range linkCases {
		lines := []string{"a/f", "a/secret", "secret", "vault/x", "node_modules/x", "p/q/",
			"goes -> a", "tohidden -> a/secret", "outside -> ../..", "abroad -> /etc", "chain1 -> a/chain2", "a/chain2 -> ../a/f",
			"up -> p/q/top", "p/q/top -> ../..", "abs -> /p/q/a", "loop1 -> loop2", "loop2 -> loop1"}
		tree := newLinkTree(append(lines, c.link)...)
		link, target, _ := strings.Cut(c.link, " -> ")
		keep := DecideLink(tree, namePolicy{}, KeepLinks, "/p/q", safety.RelPath(link), target)
		if keep.Target != c.keep || (keep.Action == KeepLink) != (c.keep != "") || (keep.Why == "") != (c.keep != "") {
			t.Errorf("%s: keep gives %+v, want %q", c.link, keep, c.keep)
		}
		follow := DecideLink(tree, namePolicy{}, FollowLinks, "/p/q", safety.RelPath(link), target)
		if string(follow.File) != c.follow || (follow.Action == CopyTarget) != (c.follow != "") || (follow.Why == "") != (c.follow != "") {
			t.Errorf("%s: follow gives %+v, want %q", c.link, follow, c.follow)
		}
		if skip := DecideLink(tree, namePolicy{}, SkipLinks, "/p/q", safety.RelPath(link), target); skip.Action != LeaveOut || skip.Why == "" {
			t.Errorf("%s: skip gives %+v", c.link, skip)
		}
	}
}

func TestDecideLinkEndsOnEndlessChains(t *testing.T) {
	tree := newLinkTree("a -> b/b/b/b", "b -> a/a/a/a")
	if v := DecideLink(tree, namePolicy{}, KeepLinks, "/p", "a", "b/b/b/b"); v.Action != KeepLink {
		t.Errorf("a loop inside gives %+v", v)
	}
}
