//go:build linux

package autosync_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alca-mount/alca-mount/autosync"
	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"golang.org/x/sys/unix"
)

func liveFlags() (sequences *int, seed *uint64) {
	return flag.Int("live.sequences", 24, "random sequences of 50 operations on a live pair"),
		flag.Uint64("live.seed", 0, "run this one sequence; 0: all")
}

var liveSequences, liveSeed = liveFlags()

// actor works on one side at random and knows which of all versions it has destroyed by its own will.
//
// Each version is a token that is nowhere else. A token may only be missing at the end when somebody saw the file that
// held it and overwrote, truncated or removed that very inode.
type actor struct {
	t     *testing.T
	r     *rand.Rand
	name  string
	top   string
	lg    *ledger
	open  *os.File // kept open for appending
	at    string   // the name by which open was opened
	hides bool     // it was a hidden one then
	log   []string
}

// ledger is what both actors made and destroyed.
type ledger struct {
	mu     sync.Mutex
	n      int
	made   map[string]string // token → path
	gone   map[string]bool
	also   map[string][]string // where what was made may have been moved
	secret map[string]bool     // written in the project at a hidden path
	excuse map[string]bool     // paths at which an actor took away something that it had not seen
}

var tokenForm = regexp.MustCompile(`<[a-z]+-\d+>`)

func (l *ledger) token(by, path string, secret bool) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	tok := fmt.Sprintf("<%s-%d>", by, l.n)
	l.made[tok] = path
	if secret {
		l.secret[tok] = true
	}
	return tok
}

func (l *ledger) destroy(content []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, tok := range tokenForm.FindAll(content, -1) {
		l.gone[string(tok)] = true
	}
}

// moved notes that what was made at from, or below it, may be at to: what is taken away there unseen is excused as well.
func (l *ledger) moved(from, to string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for tok, p := range l.made {
		for _, at := range append([]string{p}, l.also[tok]...) {
			if below, ok := strings.CutPrefix(at+"/", from+"/"); ok {
				l.also[tok] = append(l.also[tok], filepath.Join(to, below))
			}
		}
	}
}

// excused reports whether an actor took something away unseen where the token was made or moved to.
func (l *ledger) excused(tok string) bool {
	return l.excuse[l.made[tok]] || slices.ContainsFunc(l.also[tok], func(p string) bool { return l.excuse[p] })
}

var nameChoice = []string{"a", "b", "c", "d", "hid", "ro", "a", "b", "c"}

func (a *actor) path() string {
	p := ""
	for range 1 + a.r.IntN(3) {
		p = filepath.Join(p, nameChoice[a.r.IntN(len(nameChoice))])
	}
	return p
}

// young reports whether one of the directories, or one above, has been there for a moment only.
func (a *actor) young(dirs ...string) bool {
	for _, dir := range dirs {
		for ; dir != "."; dir = filepath.Dir(dir) {
			var st unix.Statx_t
			err := unix.Statx(unix.AT_FDCWD, a.full(dir), 0, unix.STATX_BTIME, &st)
			if err == nil && (st.Mask&unix.STATX_BTIME == 0 || time.Since(time.Unix(st.Btime.Sec, int64(st.Btime.Nsec))) < time.Second) {
				return true
			}
		}
	}
	return false
}

// leadsElsewhere reports whether a link on the way to p leads to another place, which need not be hidden.
func (a *actor) leadsElsewhere(p string) bool {
	for ; p != "."; p = filepath.Dir(p) {
		if info, err := os.Lstat(a.full(p)); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return true
		}
	}
	return false
}

func (a *actor) full(p string) string { return filepath.Join(a.top, p) }

func (a *actor) text(p string) string {
	hidden := a.name == "user" && strings.Contains(p, "hid") && !a.leadsElsewhere(p)
	return a.lg.token(a.name, p, hidden) + strings.Repeat("x", a.r.IntN(3)*a.r.IntN(3000)) + "\n"
}

// overwrite changes the content of the inode that is at p by do, and notes what that destroyed.
func (a *actor) overwrite(p string, flags int, do func(*os.File, []byte) error) error {
	f, err := os.OpenFile(a.full(p), flags|os.O_RDWR|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	old, err := readAll(f)
	if err != nil {
		return err
	}
	if err := do(f, old); err != nil {
		return err
	}
	now, err := readAll(f)
	if err != nil {
		return err
	}
	for _, tok := range tokenForm.FindAll(old, -1) {
		if !bytes.Contains(now, tok) {
			a.lg.destroy(tok)
		}
	}
	return nil
}

func readAll(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fs.ErrInvalid)
	}
	buf := make([]byte, info.Size())
	n, err := f.ReadAt(buf, 0)
	if n == len(buf) {
		err = nil
	}
	return buf[:n], err
}

// renaming gives what is at from the name p, and notes what was lost by that. Where the actor saw nothing at p, nothing
// is replaced: what came there in that instant would be lost without having been seen.
func (a *actor) renaming(from, p string) error {
	if _, err := os.Lstat(a.full(p)); !errors.Is(err, fs.ErrNotExist) {
		return a.taking(p, func() error { return os.Rename(from, a.full(p)) })
	}
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, a.full(p), unix.RENAME_NOREPLACE)
	if err != unix.EINVAL {
		return err
	}
	a.excuses(p) // bindfs can't tell, and there a link instead would be a file of its own for whoever has it open
	return os.Rename(from, a.full(p))
}

// taking holds the file at p while do takes its name away, and notes what was lost with it.
func (a *actor) taking(p string, do func() error) error {
	f, err := os.OpenFile(a.full(p), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err == nil {
		defer f.Close()
	}
	if errDo := do(); errDo != nil {
		return errDo
	}
	if err != nil {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	if st.Nlink > 0 { // something else came between: it is that which went
		a.excuses(p)
		if !a.onFuse() { // where what is still open, here or in the engine, keeps a name
			return nil
		}
	}
	if content, err := readAll(f); err == nil {
		a.lg.destroy(content)
	}
	if a.open != nil {
		mine, errMine := a.open.Stat()
		its, errIts := f.Stat()
		if errMine == nil && errIts == nil && os.SameFile(mine, its) {
			a.close() // what is written there from now on is meant to be nowhere
		}
	}
	return nil
}

func (a *actor) onFuse() bool {
	var st unix.Statfs_t
	return unix.Statfs(a.top, &st) == nil && st.Type == unix.FUSE_SUPER_MAGIC
}

// excuses notes that the actor took away something at p that it had not seen.
func (a *actor) excuses(p string) {
	a.lg.mu.Lock()
	defer a.lg.mu.Unlock()
	a.lg.excuse[p] = true
}

func (a *actor) removeAll(p string) error {
	info, err := os.Lstat(a.full(p))
	if err != nil {
		return err
	}
	if info.IsDir() {
		names, err := os.ReadDir(a.full(p))
		if err != nil {
			return err
		}
		for _, n := range names {
			if err := a.removeAll(filepath.Join(p, n.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return unix.Rmdir(a.full(p)) // os.Remove would also take a file that has come here since, and that nobody saw
	}
	return a.taking(p, func() error { return os.Remove(a.full(p)) })
}

func (a *actor) step() {
	p := a.path()
	var what string
	var err error
	switch n := a.r.IntN(23); {
	case n < 5:
		what, err = "write", a.create(p)
	case n < 8:
		what, err = "save by rename", a.saveByRename(p)
	case n < 9:
		what, err = "truncate", a.overwrite(p, 0, func(f *os.File, old []byte) error { return f.Truncate(int64(len(old) / 2)) })
	case n < 12:
		what, err = "append through a descriptor kept open", a.append(p)
	case n < 13:
		what, err = "store by mmap", a.overwrite(p, 0, a.mapped(p))
	case n < 14:
		what, err = "mkdir -p", os.MkdirAll(a.full(p), 0o755)
	case n < 17:
		q := a.path()
		what = "mv to " + q
		if p == q || strings.HasPrefix(q+"/", p+"/") || strings.HasPrefix(p+"/", q+"/") {
			return
		}
		if a.name == "user" && strings.Contains(p, "hid") && a.young(filepath.Dir(p), filepath.Dir(q)) {
			return // RACE: a directory is not watched from its first moment on
		}
		if err = a.renaming(a.full(p), q); err == nil {
			a.lg.moved(p, q)
		}
	case n < 19:
		what, err = "rm -r", a.removeAll(p)
	case n < 20:
		info, e := os.Lstat(a.full(p))
		if what, err = "chmod", e; e == nil && info.Mode().IsRegular() {
			err = os.Chmod(a.full(p), []fs.FileMode{0o644, 0o755, 0o600}[a.r.IntN(3)])
		}
	case n < 21:
		if strings.Contains(p, "hid") {
			return // what is written through it would not be hidden
		}
		what, err = "ln -s", os.Symlink([]string{"a", "b", "./c", "hid", "/etc/passwd", "/nowhere/at/all"}[a.r.IntN(6)], a.full(p))
	case n < 22:
		if a.onFuse() {
			return // each name has a cache of its own there: an actor would not see what it destroys through the other one
		}
		what, err = "ln", a.link(p)
	default:
		what, err = "write in place", a.overwrite(p, 0, func(f *os.File, old []byte) error {
			_, err := f.WriteAt([]byte(a.text(p)), 0)
			return err
		})
	}
	a.log = append(a.log, fmt.Sprintf("%s: %s: %s %s: %v", time.Now().Format("05.000000"), a.name, what, p, err))
}

func (a *actor) create(p string) error {
	if err := os.MkdirAll(filepath.Dir(a.full(p)), 0o755); err != nil {
		return err
	}
	return a.overwrite(p, os.O_CREATE, func(f *os.File, _ []byte) error {
		if err := f.Truncate(0); err != nil {
			return err
		}
		_, err := f.WriteAt([]byte(a.text(p)), 0)
		return err
	})
}

func (a *actor) saveByRename(p string) error {
	if err := os.MkdirAll(filepath.Dir(a.full(p)), 0o755); err != nil {
		return err
	}
	if info, err := os.Lstat(a.full(p)); err == nil && info.IsDir() {
		return fs.ErrExist
	}
	tmp := a.full(p) + ".tmp" // a derivative: hidden with its name, visible with others
	text := []byte(a.text(p))
	if err := os.WriteFile(tmp, text, 0o644); err != nil {
		a.lg.destroy(text) // never written: an ordinary user may not, in a read-only directory
		return err
	}
	if err := a.renaming(tmp, p); err != nil {
		left, _ := os.ReadFile(tmp)
		a.lg.destroy(left)
		return errors.Join(err, os.Remove(tmp))
	}
	return nil
}

func (a *actor) append(p string) error {
	if a.open == nil || a.r.IntN(4) == 0 {
		a.close()
		f, err := os.OpenFile(a.full(p), os.O_RDWR|os.O_APPEND|unix.O_NOFOLLOW, 0)
		if err != nil {
			return err
		}
		a.open, a.at, a.hides = f, p, a.name == "user" && strings.Contains(p, "hid") && !a.leadsElsewhere(p)
	}
	_, err := a.open.WriteString(a.lg.token(a.name, a.at, a.hides)) // what is taken away there unseen is excused
	return err
}

func (a *actor) close() {
	if a.open != nil {
		a.open.Close()
		a.open = nil
	}
}

func (a *actor) mapped(p string) func(*os.File, []byte) error {
	return func(f *os.File, old []byte) error {
		tok := a.text(p)
		if len(old) < len(tok) {
			if err := f.Truncate(int64(len(tok))); err != nil {
				return err
			}
		}
		mem, err := unix.Mmap(int(f.Fd()), 0, len(tok), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return err
		}
		copy(mem, strings.Repeat("-", len(tok)))
		time.Sleep(time.Duration(a.r.IntN(4)) * time.Millisecond)
		copy(mem, tok)
		return unix.Munmap(mem)
	}
}

func (a *actor) link(p string) error {
	q := a.path()
	info, err := os.Lstat(a.full(q))
	if err != nil || !info.Mode().IsRegular() || strings.Contains(q, "hid") || strings.Contains(p, "hid") {
		return errors.Join(err, fs.ErrInvalid)
	}
	return os.Link(a.full(q), a.full(p))
}

// treeOf describes what of a tree may be equal on both sides: path → kind, execute bit, content.
func treeOf(top string, policy *dotfiles.Policy) map[string]string {
	out := map[string]string{}
	_ = filepath.WalkDir(top, func(full string, d fs.DirEntry, err error) error {
		p, _ := filepath.Rel(top, full)
		if err != nil || p == "." || p == ".alca-mount" || p == mirror.ReadmeName {
			return nil
		}
		if !policy.Access(filepath.ToSlash(p), d.IsDir()).Mirrored() {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		info, err := d.Info()
		switch {
		case err != nil:
		case d.IsDir():
			out[p] = "directory"
		case d.Type()&fs.ModeSymlink != 0:
			target, _ := os.Readlink(full)
			out[p] = "-> " + target
		default:
			data, _ := os.ReadFile(full)
			if len(data) > 200 {
				data = append(data[:200], fmt.Sprintf("… %d", len(data))...)
			}
			out[p] = fmt.Sprintf("%v %s", info.Mode()&0o100 != 0, data)
		}
		return nil
	})
	return out
}

// tokensIn are all tokens in the files below directories.
func tokensIn(dirs ...string) map[string]bool {
	out := map[string]bool{}
	for _, dir := range dirs {
		_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				data, _ := os.ReadFile(p)
				for _, tok := range tokenForm.FindAll(data, -1) {
					out[string(tok)] = true
				}
			}
			return nil
		})
	}
	return out
}

func differences(a, b map[string]string, skip func(string) bool) []string {
	var out []string
	keys := maps.Clone(a)
	maps.Copy(keys, b)
	for _, p := range slices.Sorted(maps.Keys(keys)) {
		if a[p] != b[p] && !skip(p) {
			out = append(out, fmt.Sprintf("%s: project %.60q, mirror %.60q", p, a[p], b[p]))
		}
	}
	return out
}

// skipNoted leaves paths out that a report names, and what is above and below them.
func skipNoted(lists ...[]autosync.PathNote) func(string) bool {
	return func(p string) bool {
		for _, list := range lists {
			for _, n := range list {
				if within(p, string(n.Path)) || within(string(n.Path), p) {
					return true
				}
			}
		}
		return false
	}
}

// mayNotDiffer lists the differences that there is no reason for. Links that may not cross stay on their side, and a
// directory of the project in which only hidden things are left is not in the mirror.
func mayNotDiffer(l *live, skip func(string) bool) []string {
	project, mirrored := treeOf(l.project, l.m.Policy), treeOf(l.mirror, l.m.Policy)
	return differences(project, mirrored, func(p string) bool {
		if strings.HasPrefix(project[p]+mirrored[p], "-> ") || strings.Contains(mirrored[p], "-> ") || skip(p) {
			return true
		}
		for dir := filepath.Dir(p); dir != "."; dir = filepath.Dir(dir) {
			if strings.HasPrefix(project[dir], "-> ") { // a link that was left out: nothing can lie below it
				return true
			}
		}
		return project[p] == "directory" && mirrored[p] == "" && holdsUnseen(filepath.Join(l.project, p))
	})
}

func holdsUnseen(dir string) bool {
	found := false
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		found = found || err == nil && (strings.HasPrefix(d.Name(), "hid") || d.Type()&fs.ModeSymlink != 0)
		return nil
	})
	return found
}

func within(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

func TestLiveRandomLosesNothingAndHidesWhatIsHidden(t *testing.T) {
	seeds := []uint64{*liveSeed}
	if *liveSeed == 0 {
		seeds = nil
		first := uint64(time.Now().UnixNano() / 1000 % 1e9)
		for i := range *liveSequences {
			seeds = append(seeds, first+uint64(i))
		}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			t.Parallel()
			randomSequence(t, seed)
		})
	}
}

func randomSequence(t *testing.T, seed uint64) {
	lines := []string{".agentignore = hid\n*.key\n", ".agentreadonly = ro\n", "a = <start-1>", "b/a = <start-2>", "b/b = <start-3>", "c/d/a = <start-4>", "c/ro = <start-5>", "b/hid = <user-0>", "keep = k"}
	l := newLive(t, lines...)
	lg := &ledger{made: map[string]string{}, gone: map[string]bool{}, also: map[string][]string{}, secret: map[string]bool{"<user-0>": true}, excuse: map[string]bool{}}
	for i := range 5 {
		lg.made[fmt.Sprintf("<start-%d>", i+1)] = "start"
	}
	actors := []*actor{{name: "user", top: l.project}, {name: "agent", top: l.mirror}}
	var leaks sync.Map
	stopLook := make(chan struct{})
	var wg, lookers sync.WaitGroup
	lookers.Go(func() {
		for {
			select {
			case <-stopLook:
				return
			case <-time.After(2 * time.Millisecond):
			}
			for tok := range tokensIn(l.mirror) {
				leaks.Store(tok, true)
			}
		}
	})
	for i, a := range actors {
		a.t, a.lg, a.r = t, lg, rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() {
			defer a.close()
			for range 50 {
				a.step()
				if a.r.IntN(3) == 0 {
					time.Sleep(time.Duration(a.r.IntN(8)) * time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
	var diff, told []string
	var noted []autosync.PathNote
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, err := l.s.Reconcile(context.Background()); err != nil {
			t.Fatalf("Reconcile: %v", err)
		}
		for e := range drain(l.events) {
			told = append(told, fmt.Sprintf("%s: %s %s %s: %s %s", e.Time.Format("05.000000"), e.Type, e.Direction, e.Path, e.Reason, filepath.Base(e.Kept)))
			if e.Type == autosync.Refused || e.Type == autosync.Held || e.Type == autosync.Orphan {
				noted = append(noted, autosync.PathNote{Path: e.Path})
			}
		}
		if diff = mayNotDiffer(l, skipNoted(noted)); len(diff) == 0 {
			break
		}
	}
	if len(diff) > 0 {
		t.Errorf("5 s after the last write the sides differ: %q", diff)
	}
	c, drained, err := l.s.Stop(context.Background())
	close(stopLook)
	lookers.Wait()
	if err != nil || !drained || len(c.Failed) > 0 {
		t.Errorf("Stop: drained %v, %v, failed %v", drained, err, c.Failed)
	}
	if diff := mayNotDiffer(l, skipNoted(c.Refused, c.Held, c.Orphans)); len(diff) > 0 {
		t.Errorf("after Stop the sides differ: %q", diff)
	}
	found := tokensIn(l.project, l.mirror, filepath.Dir(filepath.Dir(l.m.Session.Dir())))
	for tok, p := range lg.made {
		if !lg.gone[tok] && !found[tok] && !lg.excused(tok) {
			t.Errorf("%s, written at %s, is lost", tok, p)
		}
	}
	for tok := range lg.secret {
		if _, seen := leaks.Load(tok); seen {
			t.Errorf("%s, written at the hidden %s, was in the mirror", tok, lg.made[tok])
		}
	}
	if t.Failed() {
		all := told
		for _, a := range actors {
			all = append(all, a.log...)
		}
		slices.Sort(all)
		t.Logf("run it again with -live.seed=%d\n%s\n%+v", seed, strings.Join(all, "\n"), c)
	}
}
