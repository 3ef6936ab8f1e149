package gitrepo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/alca-mount/alca-mount/safety"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// examiner looks at the commits of a branch that the project does not have.
type examiner struct {
	ctx    context.Context
	all    *store // the project's objects and the new ones
	own    *store // the project's
	theirs *store // the agent's
	opts   BringOptions
	commit plumbing.Hash // the one that is looked at
	left   int           // how many paths may still be looked at
}

// examine looks at every new commit that the tip leads to and returns them, newest first. The error is a [refusal] for
// the first that may not come.
func (x *examiner) examine(tip plumbing.Hash) ([]Commit, error) {
	var out []Commit
	seen := map[plumbing.Hash]bool{}
	for todo := []plumbing.Hash{tip}; len(todo) > 0; {
		if err := x.ctx.Err(); err != nil {
			return nil, err
		}
		id := todo[0]
		todo = todo[1:]
		if seen[id] || x.own.has(id) {
			continue
		}
		seen[id] = true
		x.commit = id
		c, err := x.one(id)
		if err != nil {
			return nil, err
		}
		subject, _, _ := strings.Cut(c.Message, "\n")
		out = append(out, Commit{id.String(), subject})
		todo = append(todo, c.ParentHashes...)
	}
	return out, nil
}

func (x *examiner) one(id plumbing.Hash) (*object.Commit, error) {
	c, err := x.all.commit(id)
	if err != nil {
		return nil, x.bad("", err.Error())
	}
	if err := x.wellFormed(id); err != nil {
		return nil, err
	}
	var trees []plumbing.Hash
	for _, p := range c.ParentHashes {
		parent, err := x.all.commit(p)
		if err != nil {
			return nil, x.bad("", err.Error())
		}
		trees = append(trees, parent.TreeHash)
	}
	return c, x.differ("", c.TreeHash, parentTree(trees))
}

// parentTree is what a commit is compared with: its first parent's tree, or nothing for the first commit of all.
func parentTree(trees []plumbing.Hash) plumbing.Hash {
	if len(trees) == 0 {
		return plumbing.ZeroHash
	}
	return trees[0]
}

func (x *examiner) bad(path, why string) error {
	return &refusal{x.commit.String(), path, why}
}

var (
	commitHead = regexp.MustCompile(`^tree [0-9a-f]{40}\n(parent [0-9a-f]{40}\n)*author (.*)\ncommitter (.*)\n`)
	identity   = regexp.MustCompile(`^[^<>\n\x00]* <[^<>\n\x00]*> (0|[1-9][0-9]{0,17}) [+-][0-9]{4}$`)
)

// wellFormed holds a commit to what git fsck asks for: the project's repository is to stay clean.
func (x *examiner) wellFormed(id plumbing.Hash) error {
	data, err := x.all.content(id, maxSmall)
	if err != nil {
		return x.bad("", err.Error())
	}
	head := commitHead.FindSubmatch(data)
	if head == nil || bytes.IndexByte(data, 0) >= 0 || !identity.Match(head[2]) || !identity.Match(head[3]) || !endsOnce(data[len(head[0]):]) {
		return x.bad("", "not a commit as git writes it")
	}
	return nil
}

// endsOnce reports whether what follows a commit's known lines comes to the empty line that ends them, and has none of
// them again: of two, git and we might take different ones.
func endsOnce(rest []byte) bool {
	for line := range bytes.Lines(rest) {
		if string(line) == "\n" {
			return true
		}
		word, _, _ := bytes.Cut(line, []byte(" "))
		if slices.Contains([]string{"tree", "parent", "author", "committer"}, string(word)) {
			return false
		}
	}
	return false
}

// differ compares two trees at dir, of which either may be missing, and looks at each path that the new one adds,
// changes or does not have any more.
func (x *examiner) differ(dir string, now, before plumbing.Hash) error {
	if now == before {
		return nil
	}
	is, err := x.entries(dir, now)
	if err != nil {
		return err
	}
	was, err := x.entries(dir, before)
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, list := range []map[string]object.TreeEntry{is, was} {
		for name := range list {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if err := x.entry(path.Join(dir, name), is[name], was[name]); err != nil {
			return err
		}
	}
	return nil
}

// entry compares what two trees have at one path; the zero entry is nothing.
func (x *examiner) entry(p string, is, was object.TreeEntry) error {
	if x.left--; x.left < 0 || len(p) > maxPath {
		return x.bad(p, "too many or too long paths to look at")
	}
	if is.Mode == was.Mode && is.Hash == was.Hash {
		return nil
	}
	isDir, wasDir := is.Mode == filemode.Dir, was.Mode == filemode.Dir
	if isDir || wasDir {
		if err := x.differ(p, treeIf(isDir, is), treeIf(wasDir, was)); err != nil {
			return err
		}
	}
	if isDir && (wasDir || was.Hash.IsZero()) || wasDir && is.Hash.IsZero() {
		return nil
	}
	return x.leaf(p, is, was)
}

const maxPath = 32 << 10

func treeIf(isDir bool, e object.TreeEntry) plumbing.Hash {
	if isDir {
		return e.Hash
	}
	return plumbing.ZeroHash
}

// leaf decides on a file, link or submodule that was added, changed or deleted.
func (x *examiner) leaf(p string, is, was object.TreeEntry) error {
	target, err := x.read(p, is)
	if err != nil {
		return err
	}
	// What only the project has may be what the agent is not to see. Named at a path of its own, it would come to it.
	if !is.Hash.IsZero() && x.own.has(is.Hash) && !x.theirs.holds(is.Hash) {
		return x.bad(p, "the mirror's repository does not have what stands there")
	}
	why := x.opts.Refuse(p, target)
	switch {
	case is.Mode == filemode.Submodule:
		why = "it is a submodule's commit"
	case !is.Hash.IsZero() && takenForDot(p, "gitmodules", "gitmod", "gi7eba"):
		why = "it says where submodules come from"
	}
	if why == "" {
		return nil
	}
	merged, err := x.merged(p, is, was)
	if err != nil || merged {
		return err
	}
	return x.bad(p, why)
}

// read makes sure that there is a file where a tree has one, and that git can work with it, and returns a link's target.
func (x *examiner) read(p string, is object.TreeEntry) (target string, err error) {
	if is.Hash.IsZero() || is.Mode == filemode.Submodule || is.Mode == filemode.Dir {
		return "", nil
	}
	if o, err := x.all.object(is.Hash); err != nil || o.Type() != plumbing.BlobObject {
		return "", x.bad(p, "what stands there is no file")
	}
	if takenForDot(p, "gitattributes", "gitatt", "gi7d29") {
		data, err := x.all.content(is.Hash, maxSmall)
		if err != nil {
			return "", x.bad(p, err.Error())
		}
		for line := range bytes.Lines(data) {
			if len(line) > maxAttributes {
				return "", x.bad(p, "a line that is longer than git reads")
			}
		}
	}
	if is.Mode != filemode.Symlink {
		return "", nil
	}
	data, err := x.all.content(is.Hash, maxTarget)
	if err != nil {
		return "", x.bad(p, err.Error())
	}
	return string(data), nil
}

const maxAttributes = 2048

const maxTarget = 4096

// merged reports whether a path of a merge is what any merge makes of it: changed by the other side alone, in commits
// that were looked at or that are the project's.
func (x *examiner) merged(p string, is, was object.TreeEntry) (bool, error) {
	c, err := x.all.commit(x.commit)
	if err != nil || len(c.ParentHashes) != 2 {
		return false, err
	}
	other, err := x.at(c.ParentHashes[1], p)
	if err != nil || !sameEntry(other, is) {
		return false, err
	}
	bases, err := x.bases(c.ParentHashes[0], c.ParentHashes[1])
	if err != nil {
		return false, err
	}
	for _, b := range bases {
		base, err := x.at(b, p)
		if err != nil || !sameEntry(base, was) {
			return false, err
		}
	}
	return len(bases) > 0, nil
}

func sameEntry(a, b object.TreeEntry) bool { return a.Mode == b.Mode && a.Hash == b.Hash }

// at is what a commit has at a path that is no directory.
func (x *examiner) at(commit plumbing.Hash, p string) (object.TreeEntry, error) {
	c, err := x.all.commit(commit)
	if err != nil {
		return object.TreeEntry{}, err
	}
	at := object.TreeEntry{Mode: filemode.Dir, Hash: c.TreeHash}
	for _, name := range strings.Split(p, "/") {
		if at.Mode != filemode.Dir {
			return object.TreeEntry{}, nil
		}
		entries, err := x.all.tree(at.Hash)
		if err != nil {
			return object.TreeEntry{}, err
		}
		i := slices.IndexFunc(entries, func(e object.TreeEntry) bool { return e.Name == name })
		if i < 0 {
			return object.TreeEntry{}, nil
		}
		at = entries[i]
	}
	return at, nil
}

// bases are the commits from which two others parted: the common ancestors that no other common ancestor has.
func (x *examiner) bases(a, b plumbing.Hash) ([]plumbing.Hash, error) {
	of, err := x.ancestors(a)
	if err != nil {
		return nil, err
	}
	common, err := x.ancestors(b)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(common, func(id plumbing.Hash, _ []plumbing.Hash) bool { return of[id] == nil })
	best := map[plumbing.Hash]bool{}
	for id := range common {
		best[id] = true
	}
	for _, parents := range common {
		for _, p := range parents {
			delete(best, p)
		}
	}
	return slices.Collect(maps.Keys(best)), nil
}

// ancestors are a commit and all that lead up to it, with their parents. Parents that a shallow repository does not have
// are left out.
func (x *examiner) ancestors(id plumbing.Hash) (map[plumbing.Hash][]plumbing.Hash, error) {
	out := map[plumbing.Hash][]plumbing.Hash{}
	for todo := []plumbing.Hash{id}; len(todo) > 0; {
		if err := x.ctx.Err(); err != nil {
			return nil, err
		}
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if out[id] != nil || !x.all.has(id) {
			continue
		}
		c, err := x.all.commit(id)
		if err != nil {
			return nil, err
		}
		out[id] = append([]plumbing.Hash{}, c.ParentHashes...)
		todo = append(todo, c.ParentHashes...)
	}
	return out, nil
}

// entries reads a tree; the zero id is an empty one. A tree that is not the project's has to be as git writes it: one
// with a name twice, or out of order, would be read otherwise elsewhere.
func (x *examiner) entries(dir string, tree plumbing.Hash) (map[string]object.TreeEntry, error) {
	if tree.IsZero() {
		return nil, nil
	}
	list, err := x.all.tree(tree)
	if err != nil {
		return nil, x.bad(dir, err.Error())
	}
	if !x.own.has(tree) {
		if why := x.wellFormedTree(tree, list); why != "" {
			return nil, x.bad(dir, why)
		}
	}
	out := make(map[string]object.TreeEntry, len(list))
	for _, e := range list {
		out[e.Name] = e
	}
	return out, nil
}

func (x *examiner) wellFormedTree(tree plumbing.Hash, list []object.TreeEntry) string {
	data, err := x.all.content(tree, maxIndex)
	if err != nil {
		return err.Error()
	}
	var want bytes.Buffer
	seen := make(map[string]bool, len(list)) // a file and a directory of one name need not stand side by side
	for i, e := range list {
		if !safeName(e.Name) {
			return fmt.Sprintf("a name that no file may have: %q", e.Name)
		}
		if !canonical(e.Mode) || seen[e.Name] || i > 0 && orderKey(list[i-1]) >= orderKey(e) {
			return "not a tree as git writes it"
		}
		seen[e.Name] = true
		fmt.Fprintf(&want, "%o %s\x00%s", uint32(e.Mode), e.Name, e.Hash[:])
	}
	if !bytes.Equal(data, want.Bytes()) {
		return "not a tree as git writes it"
	}
	return ""
}

func canonical(m filemode.FileMode) bool {
	return slices.Contains([]filemode.FileMode{filemode.Dir, filemode.Regular, filemode.Executable, filemode.Symlink, filemode.Submodule}, m)
}

// orderKey gives git's order: directories count as if a slash stood behind their name.
func orderKey(e object.TreeEntry) string {
	if e.Mode == filemode.Dir {
		return e.Name + "/"
	}
	return e.Name
}

// safeName refuses names that a checkout would take for a repository or for another directory, also on file systems
// that fold case, pass over invisible characters, or have names and streams that NTFS has.
func safeName(name string) bool {
	if _, err := safety.ParseRelPath(name); err != nil || strings.Contains(name, "/") {
		return false
	}
	return !slices.ContainsFunc(strings.Split(name, `\`), func(part string) bool {
		seen := takenFor(part)
		return seen == ".git" || seen == "git~1"
	})
}

// takenForDot reports whether a checkout takes what is at a path for the file ".NAME", also by the short names that NTFS
// gives it: the stem with a number, or so much of the other as fits.
func takenForDot(p, name, stem, other string) bool {
	return slices.ContainsFunc(strings.Split(path.Base(p), `\`), func(part string) bool {
		seen := takenFor(part)
		before, number, short := strings.Cut(seen, "~")
		return seen == "."+name || short && len(seen) == len("gitmod~1") && number != "" && number[0] != '0' &&
			strings.Trim(number, "0123456789") == "" && (before == stem || strings.HasPrefix(other, before))
	})
}

// takenFor is the name that the most forgiving of file systems takes another for.
func takenFor(name string) string {
	seen := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, name)
	seen, _, _ = strings.Cut(seen, ":")
	return strings.TrimRight(strings.ToLower(seen), " .")
}

// content reads an object that is not to be larger than most bytes.
func (s *store) content(id plumbing.Hash, most int64) ([]byte, error) {
	o, err := s.object(id)
	if err != nil {
		return nil, err
	}
	if o.Size() > most {
		return nil, fmt.Errorf("object %s has %d bytes; expected %d at most", id, o.Size(), most)
	}
	in, err := o.Reader()
	if err != nil {
		return nil, fmt.Errorf("read object %s: %w", id, err)
	}
	defer in.Close()
	return io.ReadAll(io.LimitReader(in, most))
}
