package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// refuseInTests protects private/ and *.lock, and links that lead out.
func refuseInTests(p, target string) string {
	switch {
	case strings.HasPrefix(target, "/") || strings.HasPrefix(target, ".."):
		return "the link leads outside"
	case strings.HasPrefix(p, "private/") || p == "private":
		return "hidden"
	case strings.HasSuffix(p, ".lock"):
		return "read-only"
	}
	return ""
}

// brought is a project and the mirror in which somebody commits.
type brought struct {
	*testing.T
	project, mirror string
	before          map[string]string
}

func newBrought(t *testing.T) *brought {
	t.Helper()
	dir := newRepo(t)
	write(t, dir, "private/key", "secret\n")
	write(t, dir, "go.lock", "1\n")
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-qm", "second")
	mirror, _ := standalone(t, dir, func(p string) bool { return p == "private" || strings.HasPrefix(p, "private/") })
	b := &brought{T: t, project: dir, mirror: mirror}
	b.before = b.state()
	return b
}

// another is a copy of both, made faster than git makes them.
func (b *brought) another(t *testing.T) *brought {
	t.Helper()
	dir := realTemp(t)
	c := &brought{T: t, project: filepath.Join(dir, "project"), mirror: filepath.Join(dir, "mirror")}
	err := errors.Join(os.CopyFS(c.project, os.DirFS(b.project)), os.CopyFS(c.mirror, os.DirFS(b.mirror)))
	if err != nil {
		t.Fatal(err)
	}
	c.before = c.state()
	return c
}

// state is what a project's repository must be after as it was before.
func (b *brought) state() map[string]string {
	out := map[string]string{}
	for _, name := range []string{"HEAD", "index", "config", "packed-refs"} {
		data, _ := os.ReadFile(filepath.Join(b.project, ".git", name))
		out[name] = string(data)
	}
	out["branches"] = git(b.T, b.project, "for-each-ref", "refs/heads", "refs/tags")
	return out
}

func (b *brought) commit(name, content string) string {
	b.Helper()
	write(b.T, b.mirror, name, content)
	git(b.T, b.mirror, "add", "-f", "--sparse", name)
	git(b.T, b.mirror, "commit", "-qm", "change "+name)
	return strings.TrimSpace(git(b.T, b.mirror, "rev-parse", "HEAD"))
}

func (b *brought) bring() Brought {
	b.Helper()
	out, err := b.tryBring()
	if err != nil {
		b.Fatal(err)
	}
	if diff := cmp.Diff(b.before, b.state()); diff != "" {
		b.Errorf("the project's repository changed (-before +after):\n%s", diff)
	}
	git(b.T, b.project, "fsck", "--full", "--strict")
	return out
}

func (b *brought) tryBring() (Brought, error) {
	return BringHome(context.Background(), filepath.Join(b.mirror, ".git"), b.project,
		BringOptions{Refs: "refs/alca/s1", Work: realTemp(b.T), Refuse: refuseInTests})
}

func (b *brought) refs() string { return git(b.T, b.project, "for-each-ref", "refs/alca") }

func TestBringHomeThreeCommitsOnTwoBranches(t *testing.T) {
	b := newBrought(t)
	one := b.commit("src/b.go", "package a\n")
	two := b.commit("big", strings.Repeat("0123456789", 300_000)) // not held in memory
	git(t, b.mirror, "checkout", "-qb", "feature/x")
	three := b.commit("README.md", "hi\n")
	got := b.bring()
	want := Brought{Branches: []BroughtBranch{
		{"feature/x", "refs/alca/s1/feature/x", []Commit{{three, "change README.md"}}},
		{"main", "refs/alca/s1/main", []Commit{{two, "change big"}, {one, "change src/b.go"}}},
	}}
	want.Branches[0].Commits = append(want.Branches[0].Commits, want.Branches[1].Commits...)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if log := git(t, b.project, "log", "--format=%H", "refs/alca/s1/feature/x"); !strings.HasPrefix(log, three+"\n"+two+"\n"+one) {
		t.Errorf("log:\n%s", log)
	}
	if at := git(t, b.project, "rev-parse", "refs/alca/s1/main"); strings.TrimSpace(at) != two {
		t.Errorf("main is at %s, want %s", at, two)
	}
}

func TestBringHomeAgainBringsOnlyWhatIsNew(t *testing.T) {
	b := newBrought(t)
	b.commit("a", "1\n")
	b.bring()
	refs := b.refs()
	if got := b.bring(); len(got.Branches) > 0 || b.refs() != refs {
		t.Errorf("a second look brought %+v", got)
	}
	last := b.commit("a", "2\n")
	if got := b.bring(); len(got.Branches) != 1 || got.Branches[0].Commits[0].ID != last || !strings.HasPrefix(b.refs(), last) {
		t.Errorf("brought %+v, refs %s", got, b.refs())
	}
}

func TestBringHomeADetachedHead(t *testing.T) {
	b := newBrought(t)
	git(t, b.mirror, "checkout", "-q", "--detach")
	last := b.commit("a", "1\n")
	if got := b.bring(); len(got.Branches) != 1 || got.Branches[0].Branch != "HEAD" || !strings.HasPrefix(b.refs(), last) {
		t.Errorf("brought %+v, refs %s", got, b.refs())
	}
}

func TestBringHomeIntoALinkedWorktree(t *testing.T) {
	b := newBrought(t)
	linked := filepath.Join(realTemp(t), "linked")
	git(t, b.project, "worktree", "add", "-q", linked)
	main := b.project
	b.project = linked
	b.commit("a", "1\n")
	out, err := b.tryBring()
	if err != nil || len(out.Branches) != 1 {
		t.Fatalf("brought %+v, %v", out, err)
	}
	git(t, main, "rev-parse", "--verify", "refs/alca/s1/main")
}

func TestBringHomeRefusesWhatMayNotChange(t *testing.T) {
	fresh := newBrought(t)
	for name, test := range map[string]struct {
		do   func(b *brought)
		path string
	}{
		"a hidden file added":     {func(b *brought) { b.commit("private/new", "x") }, "private/new"},
		"a hidden file deleted":   {func(b *brought) { b.rm("private/key") }, "private/key"},
		"a read-only one changed": {func(b *brought) { b.commit("go.lock", "2\n") }, "go.lock"},
		"a read-only one deleted": {func(b *brought) { b.rm("go.lock") }, "go.lock"},
		"its mode": {func(b *brought) {
			git(b.T, b.mirror, "update-index", "--chmod=+x", "go.lock")
			git(b.T, b.mirror, "commit", "-qm", "mode")
		}, "go.lock"},
		"a directory renamed onto it": {func(b *brought) {
			b.commit("d/x.lock", "x")
		}, "d/x.lock"},
		"changed and changed back": {func(b *brought) { b.commit("go.lock", "2\n"); b.commit("go.lock", "1\n") }, "go.lock"},
		"a link that leads outside": {func(b *brought) {
			os.Symlink("../../etc/passwd", filepath.Join(b.mirror, "l"))
			git(b.T, b.mirror, "add", "l")
			git(b.T, b.mirror, "commit", "-qm", "link")
		}, "l"},
		"a submodule": {func(b *brought) {
			git(b.T, b.mirror, "update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat("1", 40)+",sub")
			git(b.T, b.mirror, "commit", "-qm", "sub")
		}, "sub"},
		"a merge that changes it by itself": {func(b *brought) {
			git(b.T, b.mirror, "checkout", "-qb", "side")
			b.commit("side", "x")
			git(b.T, b.mirror, "checkout", "-q", "main")
			b.commit("other", "x")
			git(b.T, b.mirror, "merge", "-q", "--no-commit", "side")
			write(b.T, b.mirror, "go.lock", "evil\n")
			git(b.T, b.mirror, "commit", "-qam", "merged")
			git(b.T, b.mirror, "branch", "-D", "side")
		}, "go.lock"},
		"a merge that takes an old one": {func(b *brought) {
			git(b.T, b.project, "branch", "-f", "x") // nothing: main moves on below
			tree := strings.TrimSpace(git(b.T, b.mirror, "rev-parse", "HEAD~1^{tree}"))
			id := strings.TrimSpace(git(b.T, b.mirror, "commit-tree", "-p", "HEAD", "-p", "HEAD~1", "-m", "old", tree))
			git(b.T, b.mirror, "update-ref", "refs/heads/main", id)
		}, "go.lock"},
		"a name that is a repository": {func(b *brought) { b.raw("100644", ".GIT") }, ""},
		"a name that leads up":        {func(b *brought) { b.raw("100644", "..") }, ""},
		"a name with a slash":         {func(b *brought) { b.raw("100644", "private/key") }, ""},
		"an odd mode":                 {func(b *brought) { b.raw("100666", "f") }, ""},
		"a padded mode":               {func(b *brought) { b.raw("0100644", "f") }, ""},
		"a name twice":                {func(b *brought) { b.raw("100644", "f", "f") }, ""},
		"a file and a directory of one name": {func(b *brought) {
			b.commitEntries("120000 f blob:../../etc/passwd", "100644 f-between blob:x", "40000 f HEAD:src")
		}, ""},
		"a name that NTFS takes for a repository": {func(b *brought) { b.raw("100644", ".git::$INDEX_ALLOCATION") }, ""},
		"a way into one on Windows":               {func(b *brought) { b.raw("100644", `a\.git\config`) }, ""},
		"a file that is a directory":              {func(b *brought) { b.commitEntries("100644 f HEAD:src") }, "f"},
		"a file that is a new directory":          {func(b *brought) { b.commitEntries("100644 f tree:") }, "f"},
		"a file that is a commit":                 {func(b *brought) { b.commitEntries("100644 f HEAD") }, "f"},
		"a directory that is a file":              {func(b *brought) { b.commitEntries("40000 f blob:100644 x\x0012345678901234567890") }, "f"},
		"a list of submodules":                    {func(b *brought) { b.commit("sub/.gitmodules", "[submodule]\n") }, "sub/.gitmodules"},
		"a short name of one":                     {func(b *brought) { b.commit("GITMOD~1", "[submodule]\n") }, "GITMOD~1"},
		"another short name of one":               {func(b *brought) { b.commit("gi7eb~12", "[submodule]\n") }, "gi7eb~12"},
		"attributes that git does not read": {func(b *brought) {
			b.commit("src/.gitattributes", "* "+strings.Repeat("a", 3000)+"\n")
		}, "src/.gitattributes"},
		"a file for a tree": {func(b *brought) {
			b.object("commit", []byte("tree "+b.write("blob", []byte("100644 x\x0012345678901234567890"))+"\n"+rawAuthor))
		}, ""},
		"a commit whose head does not end": {func(b *brought) {
			b.object("commit", []byte("tree "+b.rev("HEAD^{tree}")+"\nparent "+b.rev("HEAD")+"\n"+strings.Replace(rawAuthor, "\n\n", "\n", 1)))
		}, ""},
		"a commit with a second tree": {func(b *brought) {
			head, message, _ := strings.Cut(rawAuthor, "\n\n")
			b.object("commit", []byte("tree "+b.rev("HEAD^{tree}")+"\nparent "+b.rev("HEAD")+"\n"+head+"\ntree "+b.rev("HEAD:src")+"\n\n"+message))
		}, ""},
		"names out of order": {func(b *brought) { b.raw("100644", "g", "f") }, ""},
		"a commit with no author": {func(b *brought) {
			tree := strings.TrimSpace(git(b.T, b.mirror, "rev-parse", "HEAD^{tree}"))
			b.object("commit", []byte("tree "+tree+"\n\nno author\n"))
		}, ""},
		"a commit whose author is none": {func(b *brought) {
			tree := strings.TrimSpace(git(b.T, b.mirror, "rev-parse", "HEAD^{tree}"))
			b.object("commit", []byte("tree "+tree+"\nauthor x\ncommitter x\n\nodd\n"))
		}, ""},
		"a tree for a commit": {func(b *brought) {
			git(b.T, b.mirror, "read-tree", "--empty")
			write(b.T, b.mirror, "new", "x")
			git(b.T, b.mirror, "add", "-f", "new")
			b.point(strings.TrimSpace(git(b.T, b.mirror, "write-tree")))
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := fresh.another(t)
			test.do(b)
			b.before = b.state()
			got := b.bring()
			if len(got.Branches) != 0 || len(got.Refused) != 1 || got.Refused[0].Path != test.path || got.Refused[0].Why == "" {
				t.Errorf("brought %+v; want main refused at %q", got, test.path)
			}
			if refs := b.refs(); refs != "" {
				t.Errorf("refs: %s", refs)
			}
		})
	}
}

func (b *brought) rm(name string) {
	b.Helper()
	git(b.T, b.mirror, "update-index", "--no-skip-worktree", name)
	git(b.T, b.mirror, "rm", "-q", "--cached", "--sparse", name)
	git(b.T, b.mirror, "commit", "-qm", "rm")
}

// raw commits a tree that git itself would not write.
func (b *brought) raw(mode string, names ...string) {
	b.Helper()
	blob := strings.TrimSpace(git(b.T, b.mirror, "hash-object", "-w", "README.md"))
	id := make([]byte, 20)
	fmt.Sscanf(blob, "%40x", &id)
	var tree bytes.Buffer
	for _, n := range names {
		fmt.Fprintf(&tree, "%s %s\x00%s", mode, n, id)
	}
	treeID := b.write("tree", tree.Bytes())
	b.object("commit", []byte("tree "+treeID+"\nparent "+b.rev("HEAD")+"\n"+rawAuthor))
}

const rawAuthor = "author A <a> 1 +0000\ncommitter A <a> 1 +0000\n\nraw\n"

func (b *brought) rev(of string) string {
	b.Helper()
	return strings.TrimSpace(git(b.T, b.mirror, "rev-parse", of))
}

// commitEntries commits, as the first of its history, entries "mode name object", of which the object is a revision, or a kind and
// what it holds.
func (b *brought) commitEntries(entries ...string) {
	b.Helper()
	var tree bytes.Buffer
	for _, e := range entries {
		mode, rest, _ := strings.Cut(e, " ")
		name, of, _ := strings.Cut(rest, " ")
		kind, content, _ := strings.Cut(of, ":")
		var hex string
		if kind == "blob" || kind == "tree" {
			hex = b.write(kind, []byte(content))
		} else {
			hex = b.rev(of)
		}
		id := make([]byte, 20)
		fmt.Sscanf(hex, "%40x", &id)
		fmt.Fprintf(&tree, "%s %s\x00%s", mode, name, id)
	}
	b.object("commit", []byte("tree "+b.write("tree", tree.Bytes())+"\n"+rawAuthor))
}

// object writes an object and has main point at it.
func (b *brought) object(kind string, data []byte) {
	b.Helper()
	b.point(b.write(kind, data))
}

func (b *brought) point(id string) {
	b.Helper()
	write(b.T, b.mirror, ".git/refs/heads/main", id+"\n")
}

func (b *brought) write(kind string, data []byte) string {
	b.Helper()
	c := exec.Command("git", "hash-object", "-w", "-t", kind, "--literally", "--stdin")
	c.Dir, c.Stdin = b.mirror, bytes.NewReader(data)
	out, err := c.Output()
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func TestBringHomeAMergeOfTheUsersBranch(t *testing.T) {
	b := newBrought(t)
	git(t, b.project, "checkout", "-qb", "users")
	write(t, b.project, "go.lock", "user\n")
	write(t, b.project, ".gitmodules", "[submodule \"sub\"]\n\tpath = sub\n\turl = ../sub\n")
	git(t, b.project, "add", ".gitmodules", "go.lock")
	git(t, b.project, "update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat("1", 40)+",sub")
	git(t, b.project, "commit", "-qm", "the user's")
	git(t, b.project, "checkout", "-q", "main")
	git(t, b.project, "clean", "-qfd")
	b.mirror, _ = standalone(t, b.project, func(p string) bool { return strings.HasPrefix(p, "private") })
	b.before = b.state()
	b.commit("a", "1\n")
	git(t, b.mirror, "merge", "-q", "-m", "merged", "users")
	if got := b.bring(); len(got.Refused) > 0 || len(got.Branches) != 1 || len(got.Branches[0].Commits) != 2 {
		t.Errorf("brought %+v", got)
	}
}

func TestBringHomeTheOtherBranchesOfARefusedOne(t *testing.T) {
	b := newBrought(t)
	git(t, b.mirror, "checkout", "-qb", "good")
	b.commit("a", "1\n")
	git(t, b.mirror, "checkout", "-qb", "bad")
	bad := b.commit("go.lock", "2\n")
	b.commit("c", "1\n")
	got := b.bring()
	if len(got.Branches) != 1 || got.Branches[0].Branch != "good" || len(got.Refused) != 1 || got.Refused[0].Commit != bad {
		t.Errorf("brought %+v", got)
	}
	if _, err := tryGit(b.project, "cat-file", "-e", bad); err == nil {
		t.Error("the refused commit is in the project's repository")
	}
}

func TestBringHomeRefusesARepositoryThatIsNotPlain(t *testing.T) {
	fresh := newBrought(t)
	fresh.commit("a", "1\n")
	for name, harm := range map[string]func(b *brought, git string){
		"alternates": func(b *brought, git string) {
			write(b.T, git, "objects/info/alternates", filepath.Join(b.project, ".git/objects")+"\n")
		},
		"a linked object directory": func(b *brought, git string) {
			os.RemoveAll(filepath.Join(git, "objects/pack"))
			os.Symlink(filepath.Join(b.project, ".git/objects/pack"), filepath.Join(git, "objects/pack"))
		},
		"a link among the objects":  func(b *brought, git string) { os.Symlink("/etc", git+"/objects/aa-link") },
		"a linked ref":              func(b *brought, git string) { os.Symlink("/etc/passwd", filepath.Join(git, "refs/heads/l")) },
		"linked refs":               func(b *brought, git string) { os.RemoveAll(git + "/refs"); os.Symlink("/etc", git+"/refs") },
		"a linked HEAD":             func(b *brought, git string) { os.Remove(git + "/HEAD"); os.Symlink("/etc/hostname", git+"/HEAD") },
		"no HEAD":                   func(b *brought, git string) { os.Remove(git + "/HEAD") },
		"a common dir":              func(b *brought, git string) { write(b.T, git, "commondir", b.project+"/.git\n") },
		"packed refs that are none": func(b *brought, git string) { os.Mkdir(git+"/packed-refs", 0o755) },
		"no repository":             func(b *brought, git string) { os.RemoveAll(git) },
	} {
		t.Run(name, func(t *testing.T) {
			b := fresh.another(t)
			harm(b, filepath.Join(b.mirror, ".git"))
			got, err := b.tryBring()
			if err == nil {
				t.Errorf("brought %+v", got)
			}
			if refs := b.refs(); refs != "" {
				t.Errorf("refs: %s", refs)
			}
		})
	}
}

func TestBringHomeRefusesADamagedObject(t *testing.T) {
	b := newBrought(t)
	b.commit("a", "the content\n")
	blob := strings.TrimSpace(git(t, b.mirror, "rev-parse", "HEAD:a"))
	other := b.write("blob", []byte("another one\n"))
	at := func(id string) string { return filepath.Join(b.mirror, ".git/objects", id[:2], id[2:]) }
	if err := errors.Join(os.Remove(at(blob)), os.Rename(at(other), at(blob))); err != nil {
		t.Fatal(err)
	}
	if got := b.bring(); len(got.Branches) != 0 || len(got.Refused) != 1 || got.Refused[0].Why != "a damaged object" {
		t.Errorf("brought %+v", got)
	}
}

func TestBringHomeNamesRefsAsGitAllows(t *testing.T) {
	b := newBrought(t)
	id := b.commit("a", "1\n")
	for _, name := range []string{"x.lock", "a..b", "-", "sp ace"} {
		write(t, b.mirror, ".git/refs/heads/"+name, id+"\n")
	}
	git(t, b.mirror, "update-ref", "refs/heads/ok", id)
	got := b.bring()
	for _, r := range got.Branches {
		git(t, b.project, "check-ref-format", r.Ref)
	}
	if len(got.Refused) < 3 {
		t.Errorf("brought %+v", got)
	}
}

func TestATreeThatHoldsItselfManyTimesEnds(t *testing.T) {
	b := newBrought(t)
	blob := strings.TrimSpace(git(t, b.mirror, "hash-object", "-w", "README.md"))
	tree := b.tree("100644", blob)
	for range 40 {
		tree = b.tree("40000", tree)
	}
	parent := strings.TrimSpace(git(t, b.mirror, "rev-parse", "HEAD"))
	b.object("commit", []byte("tree "+tree+"\nparent "+parent+"\nauthor A <a> 1 +0000\ncommitter A <a> 1 +0000\n\nbomb\n"))
	b.before = b.state()
	out, err := BringHome(context.Background(), filepath.Join(b.mirror, ".git"), b.project,
		BringOptions{Refs: "refs/alca/s1", Work: realTemp(t), Refuse: refuseInTests, MaxPaths: 5000})
	if err != nil || len(out.Refused) != 1 || len(out.Branches) != 0 {
		t.Errorf("brought %+v, %v", out, err)
	}
}

// tree writes one in which the object stands twice.
func (b *brought) tree(mode, object string) string {
	id := make([]byte, 20)
	fmt.Sscanf(object, "%40x", &id)
	return b.write("tree", fmt.Appendf(nil, "%s a\x00%s%s b\x00%s", mode, id, mode, id))
}
