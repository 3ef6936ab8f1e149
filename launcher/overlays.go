package launcher

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"time"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/launcher/internal/container"
	"github.com/alca-mount/alca-mount/launcher/internal/overlay"
	"github.com/alca-mount/alca-mount/launcher/internal/plain"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// Overlay is a directory that the mirror leaves out, such as node_modules, and that CMD gets a copy of its own of. It is
// kept per project and agent; nothing in it ever crosses.
type Overlay struct {
	Path    safety.RelPath
	Seed    OverlaySeed      // "": copy
	Command string           // of SeedCommand, for sh -c in the mirror's top
	Lock    []safety.RelPath // files that say what belongs in it; nil: those that its name is known for
	Session bool             // it goes with the session
	OnStale OnStale          // "": warn
}

// OverlaySeed is what an overlay begins with.
type OverlaySeed string

// The seeds: nothing, a copy of the project's own directory, what the container's image has at the same path, or what a
// command makes, which is run where CMD runs.
const (
	SeedEmpty   OverlaySeed = "empty"
	SeedCopy    OverlaySeed = "copy"
	SeedImage   OverlaySeed = "image"
	SeedCommand OverlaySeed = "command"
)

// OnStale is what becomes of an overlay that was seeded for other lock files than those of now, or another platform.
type OnStale string

// The answers to a stale overlay: tell and go on, seed it anew, or start nothing.
const (
	StaleWarn  OnStale = "warn"
	StaleRerun OnStale = "rerun"
	StaleFail  OnStale = "fail"
)

// bind is a directory that CMD sees in place of one of the mirror's.
type bind struct {
	source string // absolute
	path   safety.RelPath
}

// laid is an overlay of this launch.
type laid struct {
	Overlay
	kept    *overlay.Overlay
	private bool
	auto    bool
	digest  string // of what it is to be seeded for
	pending bool   // its command has to run yet
	note    string
}

// checkOverlays refuses what could cross or would show what rules hide, and has the policy leave the rest out.
func (l *launch) checkOverlays() error {
	rules := l.policy.Rules()
	for i, o := range l.opts.Overlays {
		v := l.policy.Explain(string(o.Path), true)
		switch {
		case o.Path == safety.Top || o.Path == "":
			return errors.New("overlay: the project itself can't be one")
		case slices.ContainsFunc(strings.Split(string(o.Path), "/"), isGit):
			return fmt.Errorf("overlay %s: a copy of a repository would hold what rules hide, and its hooks and credentials: --git copy gives the mirror one without", o.Path)
		case v.Access == dotfiles.Hidden && !slices.Contains(rules.Excludes, v.Rule):
			return fmt.Errorf("overlay %s: %s hides it: %s", o.Path, v.Rule.Source, whyNotHidden)
		case v.Access != dotfiles.Excluded && v.Access != dotfiles.Hidden:
			return fmt.Errorf("overlay %s: the mirror has this directory, and its changes come home: exclude it, too, if the agent is to have its own", o.Path)
		case o.Seed == SeedCommand && o.Command == "":
			return fmt.Errorf("overlay %s: seed \"command\" needs a command", o.Path)
		case o.Seed == SeedImage && !l.opts.inContainer():
			return fmt.Errorf("overlay %s: seed \"image\" is of launches in a container: expected an image, or another seed", o.Path)
		}
		for _, other := range l.opts.Overlays[:i] {
			if o.Path.In(other.Path) || other.Path.In(o.Path) {
				return fmt.Errorf("overlay %s: %s is one already: expected directories that lie beside each other", o.Path, other.Path)
			}
		}
		rules.Overlays = append(rules.Overlays, dotfiles.Rule{Pattern: dotfiles.Literal(string(o.Path)), Source: "overlay"})
	}
	if len(l.opts.Overlays) == 0 {
		return nil
	}
	var err error
	l.policy, err = dotfiles.New(rules)
	return err
}

const whyNotHidden = "an overlay is of what is left out, not of what is hidden"

// lay gets the overlays ready: fetched from where a killed launch left them, seeded where there is nothing.
func (l *launch) lay(ctx context.Context) error {
	if l.docked == nil && (len(l.opts.Overlays) > 0 || l.opts.AutoOverlays) { // in a container, that is done
		var err error
		if l.ended, err = EndDeadContainers(ctx, l.state, l.project); err != nil {
			l.notes, l.undead = append(l.notes, err.Error()), true
		}
	}
	for _, o := range l.opts.Overlays {
		if err := l.layOne(ctx, o, false); err != nil {
			return fmt.Errorf("overlay %s: %w", o.Path, err)
		}
	}
	if !l.opts.AutoOverlays {
		return nil
	}
	var files []safety.RelPath
	for p, e := range l.mirror.Base.All() {
		if e.State.Kind == safety.File {
			files = append(files, p)
		}
	}
	for _, f := range overlay.Recognize(files) {
		if l.overlaps(f.Path) {
			continue
		}
		if v := l.mirror.Policy.Explain(string(f.Path), true); v.Access != dotfiles.Excluded {
			l.passOver(f.Path, v)
			continue
		}
		if err := l.layOne(ctx, Overlay{Path: f.Path, Lock: f.Lock}, true); err != nil {
			return fmt.Errorf("overlay %s: %w", f.Path, err)
		}
	}
	return nil
}

// passOver notes why CMD is going to miss a directory of the project's that auto would have made an overlay of.
func (l *launch) passOver(p safety.RelPath, v dotfiles.Verdict) {
	info, err := os.Lstat(filepath.Join(l.project, filepath.FromSlash(string(p))))
	if v.Access != dotfiles.Hidden || err != nil || !info.IsDir() {
		return
	}
	why := v.Rule.Source + " hides it: " + whyNotHidden
	if slices.Contains(l.policy.Rules().Excludes, v.Rule) {
		why = v.Rule.Source + " leaves it out: --overlay with its path gives it one"
	}
	if l.passed == nil {
		l.passed = map[string][]safety.RelPath{}
	}
	l.passed[why] = append(l.passed[why], p)
}

// toldPassed is a line for each reason why auto passed directories over.
func toldPassed(passed map[string][]safety.RelPath) []string {
	var out []string
	for _, why := range slices.Sorted(maps.Keys(passed)) {
		more := ""
		if n := len(passed[why]) - 1; n > 0 {
			more = fmt.Sprintf(", and %d more", n)
		}
		out = append(out, fmt.Sprintf("overlay %s: none%s: %s", passed[why][0], more, why))
	}
	return out
}

func isGit(name string) bool { return strings.EqualFold(name, ".git") }

func (l *launch) overlaps(p safety.RelPath) bool {
	for _, o := range l.laid {
		if p.In(o.Path) || o.Path.In(p) {
			return true
		}
	}
	return false
}

func (l *launch) layOne(ctx context.Context, o Overlay, auto bool) error {
	if err := l.session.Settle(); err != nil { // else a power cut might take the directory with a mirror that was never complete
		return err
	}
	if parent := o.Path.Dir(); parent != safety.Top {
		info, err := l.mirror.Root.Lstat(parent)
		if err != nil || info.Kind != safety.Directory {
			return errors.Join(fmt.Errorf("the mirror has no directory %s to put it in", parent), err)
		}
	}
	if o.Seed == "" {
		o.Seed = SeedCopy
	}
	if o.Lock == nil {
		o.Lock = overlay.LocksFor(o.Path)
	}
	one := &laid{Overlay: o, auto: auto}
	var err error
	if one.digest, err = l.digest(o); err != nil {
		return err
	}
	if err := l.take(one); err != nil {
		return err
	}
	l.laid = append(l.laid, one)
	if err := one.kept.Fetch(ctx); err != nil {
		return err
	}
	return l.settleSeed(ctx, one)
}

// take opens the overlay. One that another session has is not shared, since both would write to it: this session gets its
// own, which goes with it.
func (l *launch) take(one *laid) (err error) {
	if l.undead {
		one.note = "the container of a session whose process died may still write to it: this session has its own, which goes at the end"
	} else if !one.Session {
		one.kept, err = overlay.Open(l.projectDir(), l.opts.OverlaysOf, one.Path)
		if err == nil {
			err = alive(one.kept)
		}
		var locked *safety.LockedError
		var used *usedError
		switch {
		case errors.As(err, &used):
			one.note = fmt.Sprintf("%v: this session has its own, which goes at the end", used)
		case errors.As(err, &locked):
			one.note = "another session has it: this one has its own, which goes at the end"
		default:
			return err
		}
	}
	one.private = true
	one.kept, err = overlay.OpenPrivate(l.session.Dir(), one.Path)
	return err
}

// usedError says that the command of a launch that was killed goes on, with an overlay in its mirror.
type usedError struct {
	session string
	pids    []int
}

func (e *usedError) Error() string {
	return fmt.Sprintf("the command of session %s, whose launch died, still has it (process %d)", e.session, e.pids[0])
}

// alive gives an overlay up, as *usedError, that a command would miss in its mirror if it were fetched from there. Where
// that can't be told, nothing is known against it.
func alive(o *overlay.Overlay) error {
	if o.Session == "" {
		return nil
	}
	pids, err := Running(o.Session)
	if err != nil || len(pids) == 0 {
		return nil
	}
	return errors.Join(&usedError{session: o.Session, pids: pids}, o.Close())
}

func (l *launch) projectDir() string { return projectDirOf(l.session) }

func projectDirOf(s *mirror.Session) string { return filepath.Dir(filepath.Dir(s.Dir())) }

// digest identifies what an overlay is seeded for: its lock files as CMD sees them, and where it is to work.
func (l *launch) digest(o Overlay) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%s/%s\n%s\n%q\n", goruntime.GOOS, goruntime.GOARCH, o.Seed, o.Command)
	if l.opts.inContainer() {
		fmt.Fprintf(h, "image %s\n", strings.TrimPrefix(l.docked.image.ID, "sha256:")) // its name may be another's by now
	}
	for _, p := range o.Lock {
		f, info, err := l.mirror.Root.Open(p)
		if err != nil {
			fmt.Fprintf(h, "%q none\n", p)
			continue
		}
		fmt.Fprintf(h, "%q %d\n", p, info.Size)
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// settleSeed does what Decide says.
func (l *launch) settleSeed(ctx context.Context, one *laid) error {
	have := one.kept.Digest
	if !one.kept.Exists() {
		have = ""
	}
	if have != "" && one.Seed == SeedCopy && one.kept.Rules != l.hiding() {
		one.note = "the rules changed since it was copied: it is seeded anew" // it may hold what they hide now
		return l.seed(ctx, one)
	}
	if have != "" {
		if err := l.give(one.kept.Tree()); err != nil {
			return err
		}
	}
	step := overlay.Decide(have, one.digest, string(one.OnStale))
	again := "alca-mount overlays refresh " + string(one.Path)
	switch step {
	case overlay.Use:
		return nil
	case overlay.Warn:
		one.note = overlay.Stale + "; to seed it anew: " + again
		return nil
	case overlay.Fail:
		return errors.New(overlay.Stale + " (on_stale = \"fail\"); to seed it anew: " + again)
	case overlay.Rerun:
		one.note = overlay.Stale + ": it is seeded anew"
	}
	return l.seed(ctx, one)
}

// seed makes the directory. One that a command makes is empty until it ran.
func (l *launch) seed(ctx context.Context, one *laid) error {
	var fill func(string) error
	at := ""
	switch one.Seed {
	case SeedCopy:
		var err error
		if fill, at, err = l.fromProject(ctx, one); err != nil {
			return err
		}
	case SeedImage:
		fill = l.fromImage(ctx, one)
	}
	if err := one.kept.Make(fill); err != nil {
		return err
	}
	if err := l.give(one.kept.Tree()); err != nil {
		return err
	}
	one.kept.Rules = l.hiding()
	one.kept.Seed, one.kept.At, one.kept.Seeded = string(one.Seed), at, time.Now().UTC()
	one.pending = one.Seed == SeedCommand
	if !one.pending {
		one.kept.Digest = one.digest
	}
	return one.kept.Save()
}

// fromProject fills an overlay with a copy of the project's own directory, which was used at the path at; nil where there
// is none that would work.
func (l *launch) fromProject(ctx context.Context, one *laid) (fill func(string) error, at string, err error) {
	host := filepath.Join(l.project, filepath.FromSlash(string(one.Path)))
	info, lerr := os.Lstat(host)
	why := ""
	switch {
	case lerr != nil || !info.IsDir():
		why = "the project has no such directory"
	case l.opts.inContainer():
		var lib overlay.Library
		if lib, err = l.docked.library(ctx); err == nil {
			why, err = overlay.Foreign(host, lib)
		}
		if err != nil {
			return nil, "", err
		}
	}
	if why != "" {
		if !one.auto || info != nil {
			one.note = "it begins empty: " + why
		}
		return nil, "", nil
	}
	return func(dir string) error {
		_, err := mirror.CopyExcluded(ctx, l.project, one.Path, dir, mirror.Options{Policy: l.policy, Progress: l.opts.Progress})
		return err
	}, host, nil
}

// hiding identifies what rules hide in a copy.
func (l *launch) hiding() string {
	rules, h := l.policy.Rules(), sha256.New()
	for _, list := range [][]dotfiles.Rule{rules.Hidden, rules.Excludes} {
		for _, r := range list {
			fmt.Fprintf(h, "%q ", r.Pattern)
		}
		fmt.Fprintln(h)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// give makes all of a directory the property of whom CMD runs as: as root we make it for another user.
func (l *launch) give(dir string) error {
	owner := l.newOwner()
	if !owner.Give || overlay.Owned(dir, owner) {
		return nil
	}
	return overlay.GiveAll(dir, owner)
}

// newOwner is whom the launch's overlays are given to.
func (l *launch) newOwner() overlay.Owner {
	o := ownerOf(l.project)
	if l.docked != nil {
		if uid, gid, known := l.docked.user.Numbers(); known {
			o.UID, o.GID = uid, gid
		}
	}
	return overlay.Owner{UID: o.UID, GID: o.GID, Give: os.Geteuid() == 0}
}

// binds are the overlays as a runtime puts them over the mirror.
func (l *launch) binds() []bind {
	var out []bind
	for _, o := range l.laid {
		out = append(out, bind{o.kept.Tree(), o.Path})
	}
	return out
}

// knowPlace has each overlay know the path that CMD sees it at.
func (l *launch) knowPlace(workdir string) error {
	for _, o := range l.laid {
		at := filepath.Join(workdir, filepath.FromSlash(string(o.Path)))
		if err := overlay.Relocate(o.kept.Tree(), o.kept.At, at); err != nil {
			return fmt.Errorf("overlay %s: %w", o.Path, err)
		}
		o.kept.At, o.kept.Used = at, time.Now().UTC()
		if err := o.kept.Save(); err != nil {
			return err
		}
	}
	return nil
}

// makePlaces makes the directories of the mirror that the binds go over.
func makePlaces(m *mirror.Mirror, binds []bind) error {
	for _, b := range binds {
		make := func() error { return m.Root.MkdirAll(b.path, 0o755) }
		if err := overlay.Writable(m.Root, lowestDir(m.Root, b.path), make); err != nil {
			return fmt.Errorf("overlay %s: %w", b.path, err)
		}
	}
	return nil
}

// lowestDir is the lowest directory above p that is there.
func lowestDir(root *safety.Root, p safety.RelPath) safety.RelPath {
	for dir := p.Dir(); dir != safety.Top; dir = dir.Dir() {
		if info, err := root.Lstat(dir); err == nil && info.Kind == safety.Directory {
			return dir
		}
	}
	return safety.Top
}

// runSeeds runs the commands of overlays that have to be made, where CMD is going to run.
func (l *launch) runSeeds(ctx context.Context) error {
	for _, o := range l.laid {
		if !o.pending {
			continue
		}
		if err := l.mirror.Rest(ctx); err != nil {
			return err
		}
		if err := l.runSeed(ctx, o); err != nil {
			return fmt.Errorf("overlay %s: %w", o.Path, err)
		}
		if err := l.again(ctx); err != nil {
			return err
		}
		o.pending, o.kept.Digest = false, o.digest
		if err := o.kept.Save(); err != nil {
			return err
		}
	}
	return nil
}

// again has the runtime ready for another command. Plainly and in a namespace one runs one; of containers each has its own.
func (l *launch) again(ctx context.Context) error {
	if l.docked != nil {
		return nil
	}
	if err := l.runtime.close(); err != nil {
		return err
	}
	if l.confined() {
		if err := l.renewNamespace(); err != nil {
			return err
		}
	}
	return l.enter(ctx)
}

func (l *launch) runSeed(ctx context.Context, o *laid) error {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	out := l.opts.Stderr
	if out == nil {
		out = os.Stderr // CMD's own output is nobody else's
	}
	env, mark := l.ownEnvironment(l.place.workdir)
	run := l.runtime.run
	if l.docked != nil {
		run = l.docked.runOnce
	}
	exit, err := run(ctx, plain.Spec{
		Argv: []string{"/bin/sh", "-c", o.Command}, Dir: l.place.workdir, Env: env, Stdin: null, Stdout: out, Stderr: out,
		Grace: defaultGrace, Linger: linger, Signals: l.opts.Signals, Mark: mark,
	})
	l.mayRun = errors.Is(err, container.ErrMayRun)
	if err == nil && exit.Code != 0 {
		err = fmt.Errorf("its command ended with %d: %s", exit.Code, o.Command)
	}
	return err
}

// toldEnded tells of sessions whose containers were ended.
func toldEnded(sessions []string) []string {
	var out []string
	for _, session := range sessions {
		out = append(out, fmt.Sprintf("ended the container of session %s, whose process had died: alca-mount recover %[1]s tells what it holds", session))
	}
	return out
}

// overlayNotes is what is told of overlays before CMD starts.
func (l *launch) overlayNotes() []string {
	out := toldPassed(l.passed)
	for _, o := range l.laid {
		if o.note != "" {
			out = append(out, fmt.Sprintf("overlay %s: %s", o.Path, o.note))
		}
	}
	return out
}

// fold gives the overlays up, when CMD is gone and before the last sync.
func (l *launch) fold() error {
	var errs []error
	for _, o := range l.laid {
		_ = l.mirror.Root.Rmdir(o.Path) // the empty place that it was mounted on
		if o.private {
			errs = append(errs, o.kept.Remove())
			continue
		}
		errs = append(errs, o.kept.Close())
	}
	l.laid = nil
	return errors.Join(errs...)
}

// takeOverlaysOut fetches what a killed plain launch left in its mirror, before that goes.
func takeOverlaysOut(ctx context.Context, m *mirror.Mirror) error {
	list, err := overlay.Of(projectDirOf(m.Session), m.Session.ID)
	for _, o := range list {
		taken, terr := o.Take()
		if terr == nil {
			terr = errors.Join(taken.TakeOut(ctx, m.Root), taken.Close())
		}
		var locked *safety.LockedError
		if !errors.As(terr, &locked) { // whoever has it has fetched it
			err = errors.Join(err, terr)
		}
	}
	return err
}

// KeptOverlay is an overlay as it is kept for a project.
type KeptOverlay struct {
	Path     safety.RelPath
	Agent    string
	Seed     OverlaySeed
	Seeded   time.Time // zero: it is seeded at the next start
	Used     time.Time
	Session  string // the session in whose mirror it is now
	InUse    bool
	Dir      string
	overlays *overlay.Overlay
}

// Overlays lists what is kept for a project (real path), by agent and path.
func Overlays(state *mirror.StateDir, project string) ([]KeptOverlay, error) {
	dir, err := state.PrivateProjectDir(project)
	if err != nil {
		return nil, err
	}
	list, err := overlay.List(dir)
	var out []KeptOverlay
	for _, o := range list {
		k := KeptOverlay{Path: o.Path, Agent: o.Agent, Seed: OverlaySeed(o.Seed), Used: o.Used, Session: o.Session, Dir: o.Dir(), overlays: o}
		if o.Digest != "" {
			k.Seeded = o.Seeded
		}
		if taken, err := k.take(); err == nil {
			_ = taken.Close()
		} else {
			k.InUse = true
		}
		out = append(out, k)
	}
	return out, err
}

// take has it for a moment, unless a session has it, or the command of one that was killed.
func (k KeptOverlay) take() (*overlay.Overlay, error) {
	o, err := k.overlays.Take()
	if err == nil {
		err = alive(o)
	}
	return o, err
}

// Refresh has an overlay seeded anew at the next start; an error while a session has it, or what still runs of one.
func (k KeptOverlay) Refresh() error {
	o, err := k.take()
	if err != nil {
		return err
	}
	return errors.Join(o.Drop(), o.Close())
}

// Remove removes an overlay; an error while a session has it, or what still runs of one.
func (k KeptOverlay) Remove() error {
	o, err := k.take()
	if err != nil {
		return err
	}
	return o.Remove()
}
