package gitrepo

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alca-mount/alca-mount/safety"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// BringOptions of BringHome. Paths are relative to the project.
type BringOptions struct {
	// Refs is the namespace that branches are brought to: "refs/alca/SESSION".
	Refs string
	// Work is an existing directory outside both repositories, for packs on their way.
	Work string
	// Refuse says why a commit may not add, change or delete a path; "": it may. target is where a symbolic link that is
	// added or changed leads, "" for everything else.
	Refuse func(path, target string) string
	// MaxPaths bounds how many paths one branch may have looked at: trees that hold the same tree twice, level upon
	// level, would never end. 0: a million.
	MaxPaths int
	// MaxBranches is how many are brought home at once: each is a ref in the project, written durably. 0: 200.
	MaxBranches int
}

// Commit is one that was brought home.
type Commit struct {
	ID      string
	Subject string
}

// BroughtBranch is a branch of which all new commits were brought home.
type BroughtBranch struct {
	Branch  string
	Ref     string
	Commits []Commit // newest first
}

// RefusedBranch is a branch that stays where it is.
type RefusedBranch struct {
	Branch string
	Commit string // the first that may not be; "" where the branch could not be read at all
	Path   string // what it touches
	Why    string
}

// Brought is what BringHome did. Both lists are sorted by branch.
type Brought struct {
	Branches []BroughtBranch
	Refused  []RefusedBranch
}

// BringHome brings the commits that a repository nobody trusts, at gitDir, has over the project's own into the
// project's repository: as a pack of their objects, and a ref for each branch. HEAD, index, configuration, hooks and all
// other refs of the project stay as they are, and nothing is checked out.
//
// Each new commit is looked at before: one that touches a path that opts.Refuse refuses, or that is not as git would
// have written it, keeps its whole branch back. The rest of gitDir (configuration, hooks, attributes) is not read.
// Objects are checked and brought from a copy of ours, so that what changes in gitDir meanwhile changes nothing.
// A HEAD that is on no branch counts as the branch "HEAD"; tags and stashes stay behind.
func BringHome(ctx context.Context, gitDir, projectDir string, opts BringOptions) (Brought, error) {
	home, err := find(projectDir)
	if err != nil {
		return Brought{}, err
	}
	defer home.Close()
	if home.prefix != "" {
		return Brought{}, fmt.Errorf("%s: the repository's top is %s: %w", projectDir, home.workTree, fs.ErrNotExist)
	}
	from, err := safety.OpenRoot(gitDir)
	if err != nil {
		return Brought{}, fmt.Errorf("open %s: %w", gitDir, err)
	}
	defer from.Close()
	if err := plainTree(ctx, from); err != nil {
		return Brought{}, err
	}
	b := &bringer{ctx: ctx, home: home, from: from, opts: opts}
	return b.bring()
}

// Unbrought names the branches, and the stash, of the repository at gitDir that stand at a commit which the project's
// repository does not have. Sorted.
func Unbrought(gitDir, projectDir string) ([]string, error) {
	home, err := find(projectDir)
	if err != nil {
		return nil, err
	}
	defer home.Close()
	from, err := safety.OpenRoot(gitDir)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", gitDir, err)
	}
	defer from.Close()
	heads, err := headsOf(from)
	if err != nil {
		return nil, err
	}
	if stash, err := readIfThere(from, "refs/stash"); err == nil && isHash(strings.TrimSpace(string(stash))) {
		heads["stash"] = plumbing.NewHash(strings.TrimSpace(string(stash)))
	}
	own, err := home.openStore()
	if err != nil {
		return nil, err
	}
	defer own.Close()
	maps.DeleteFunc(heads, func(_ string, tip plumbing.Hash) bool { return own.has(tip) })
	return slices.Sorted(maps.Keys(heads)), nil
}

// plainTree refuses a repository in which something is not what git makes: a link or a pipe would lead our reading
// elsewhere or stop it, and alternates would borrow from a repository that is not the agent's.
func plainTree(ctx context.Context, root *safety.Root) error {
	for _, top := range []safety.RelPath{"objects", "refs"} {
		err := root.Walk(top, func(p safety.RelPath, info safety.Info) error {
			if info.Kind != safety.File && info.Kind != safety.Directory {
				return unsupported("%s in %s is a %s", p, root.Path(), info.Kind)
			}
			return ctx.Err()
		})
		if err != nil {
			return err
		}
	}
	for _, name := range []safety.RelPath{"objects/info/alternates", "objects/info/http-alternates", "commondir"} {
		info, err := root.Lstat(name)
		if err != nil {
			return fmt.Errorf("look at %s: %w", name, err)
		}
		if info.Kind != safety.Absent {
			return unsupported("%s in %s: the repository borrows from another one", name, root.Path())
		}
	}
	return nil
}

// bringer is one run of BringHome.
type bringer struct {
	ctx    context.Context
	home   *repo
	from   *safety.Root
	opts   BringOptions
	theirs *store // what from has
	before *store // the project's objects as they were: what a store has listed once, it does not list again
}

func (b *bringer) bring() (Brought, error) {
	var out Brought
	heads, err := headsOf(b.from)
	if err != nil {
		return out, err
	}
	if b.before, err = b.home.openStore(); err != nil {
		return out, err
	}
	defer b.before.Close()
	maps.DeleteFunc(heads, func(_ string, tip plumbing.Hash) bool { return b.before.has(tip) })
	if b.theirs, err = openUntrusted(b.from); err != nil {
		return out, err
	}
	defer b.theirs.Close()
	branches, most := slices.Sorted(maps.Keys(heads)), cmp.Or(b.opts.MaxBranches, 200)
	if more := len(branches) - most; more > 0 {
		why := fmt.Sprintf("and %d more: expected %d branches with new commits at most", more-1, most)
		out.Refused = append(out.Refused, RefusedBranch{Branch: branches[most], Why: why})
		branches = branches[:most]
	}
	for _, branch := range branches {
		if err := b.ctx.Err(); err != nil {
			return out, err
		}
		brought, err := b.branch(branch, heads[branch])
		var refused *refusal
		switch {
		case errors.As(err, &refused):
			out.Refused = append(out.Refused, RefusedBranch{branch, refused.commit, refused.path, refused.why})
		case err != nil:
			return out, fmt.Errorf("bring %s home: %w", branch, err)
		default:
			out.Branches = append(out.Branches, brought)
		}
	}
	return out, nil
}

// refusal keeps a branch back.
type refusal struct{ commit, path, why string }

func (r *refusal) Error() string {
	return strings.TrimSpace(fmt.Sprintf("%s %q: %s", r.commit, r.path, r.why))
}

// branch packs what is new on a branch, looks at the packed commits, and brings the pack and then the ref home.
func (b *bringer) branch(branch string, tip plumbing.Hash) (BroughtBranch, error) {
	out := BroughtBranch{Branch: branch, Ref: b.opts.Refs + "/" + branch}
	if err := plumbing.ReferenceName(out.Ref).Validate(); err != nil {
		return out, &refusal{why: fmt.Sprintf("no name for a ref: %v", err)}
	}
	own, err := b.home.openStore() // with what came with another branch
	if err != nil {
		return out, err
	}
	defer own.Close()
	work, err := os.MkdirTemp(b.opts.Work, "bring-")
	if err != nil {
		return out, err
	}
	defer os.RemoveAll(work)
	pack, err := b.pack(own, tip, work)
	if err != nil {
		return out, err
	}
	both := &store{dirs: append(slices.Clone(own.dirs), openObjects(work, streamed))}
	defer both.dirs[len(both.dirs)-1].Close()
	if out.Commits, err = (&examiner{ctx: b.ctx, all: both, own: b.before, theirs: b.theirs, opts: b.opts, left: cmp.Or(b.opts.MaxPaths, 1_000_000)}).examine(tip); err != nil {
		return out, err
	}
	err = b.place(pack, out.Ref, tip, work)
	if inWay := b.takenName(out.Ref); err != nil && inWay != "" {
		err = &refusal{why: inWay + " stands in the way of its ref"}
	}
	return out, err
}

// takenName is the ref that a directory would have to be for another to stand below it, or that is one; "": there is none.
func (b *bringer) takenName(ref string) string {
	for at := safety.RelPath(ref); at != safety.RelPath(b.opts.Refs) && at != safety.Top; at = at.Dir() {
		info, err := b.home.common.Lstat(at)
		if err == nil && (info.Kind == safety.Directory) == (string(at) == ref) && info.Kind != safety.Absent {
			return string(at)
		}
	}
	return ""
}

// headsOf are the branches of a repository and where they stand, read from its files alone.
func headsOf(git *safety.Root) (map[string]plumbing.Hash, error) {
	heads := map[string]plumbing.Hash{}
	packed, err := readFile(git, "packed-refs", maxPackedRefs)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err // taken for empty, its branches would be lost
	}
	for line := range bytes.Lines(packed) {
		id, name, _ := strings.Cut(strings.TrimRight(string(line), "\n"), " ")
		if branch, ok := strings.CutPrefix(name, "refs/heads/"); ok && isHash(id) {
			heads[branch] = plumbing.NewHash(id)
		}
	}
	err = git.Walk("refs/heads", func(p safety.RelPath, info safety.Info) error {
		if info.Kind == safety.Directory {
			return nil
		}
		data, err := readSmall(git, p)
		if id := strings.TrimSpace(string(data)); err == nil && isHash(id) {
			heads[strings.TrimPrefix(string(p), "refs/heads/")] = plumbing.NewHash(id)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	head, err := readSmall(git, "HEAD")
	if err != nil {
		return nil, err
	}
	if id := strings.TrimSpace(string(head)); isHash(id) && !slices.Contains(slices.Collect(maps.Values(heads)), plumbing.NewHash(id)) {
		heads["HEAD"] = plumbing.NewHash(id)
	}
	return heads, nil
}

// place brings the pack, its index, and then the ref into the project's repository, each durable before the next: no
// crash leaves a ref without its objects, and an object that no ref names yet is git's to clean up.
func (b *bringer) place(pack packed, ref string, tip plumbing.Hash, work string) error {
	store, err := safety.OpenStore(b.home.common, true, "bring", work)
	if err != nil {
		return err
	}
	defer store.Close()
	p := &placer{ctx: b.ctx, root: b.home.common, store: store}
	if err := p.pack(pack); err != nil {
		return err
	}
	if err := b.reads(tip); err != nil {
		return err
	}
	line := filepath.Join(work, "ref")
	if err := os.WriteFile(line, []byte(tip.String()+"\n"), 0o600); err != nil {
		return err
	}
	return p.file(line, safety.RelPath(ref), 0o644)
}

// reads makes sure that the project's repository has the commit now.
func (b *bringer) reads(tip plumbing.Hash) error {
	s, err := b.home.openStore()
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = s.object(tip)
	return err
}

// placer puts finished files into the project's repository.
type placer struct {
	ctx   context.Context
	root  *safety.Root
	store *safety.Store
	seq   uint64
}

func (p *placer) pack(pack packed) error {
	if pack.objects == 0 {
		return nil // all came with another branch
	}
	at := safety.RelPath("objects/pack").Join(pack.name)
	if err := p.file(pack.file, at+".pack", 0o444); err != nil {
		return err
	}
	return p.file(pack.index, at+".idx", 0o444)
}

func (p *placer) file(from string, to safety.RelPath, mode uint32) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	if err := p.root.MkdirAll(to.Dir(), 0o755); err != nil {
		return fmt.Errorf("make %s: %w", to.Dir(), err)
	}
	p.seq++
	shape := safety.Shape{Mode: mode}
	there, err := p.root.Lstat(to)
	if err != nil {
		return err
	}
	var staged *safety.Staged
	switch {
	case there.Kind == safety.Absent:
		staged, err = p.store.StageNew(p.ctx, p.seq, src, shape, to)
	case mode == 0o444:
		return nil // a pack's name says what it holds
	default:
		staged, err = p.store.StageReplacement(p.ctx, p.seq, src, shape, to, there)
	}
	if err != nil {
		return err
	}
	defer staged.Discard()
	displaced, err := p.store.Place(staged)
	if err == nil && displaced.Slot != "" {
		err = p.store.Drop(p.seq) // the ref of an earlier look at the same session
	}
	return errors.Join(err, p.root.Sync(to.Dir()))
}

// has reports whether one of the object directories holds the object.
func (s *store) has(id plumbing.Hash) bool {
	return slices.ContainsFunc(s.dirs, func(d objectDir) bool {
		_, err := d.EncodedObjectSize(id) // HasEncodedObject does not look into packs under ExclusiveAccess
		return err == nil
	})
}

func (s *store) commit(id plumbing.Hash) (*object.Commit, error) {
	o, err := s.object(id)
	if err != nil {
		return nil, err
	}
	c := &object.Commit{}
	if err := c.Decode(o); err != nil {
		return nil, fmt.Errorf("read commit %s: %w", id, err)
	}
	return c, nil
}
