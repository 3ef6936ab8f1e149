package mirror

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

// Create builds a mirror of projectDir in mirrorDir ("": in the session's folder), which must not exist or be empty.
// Entries that cannot be read and special files are left out and listed in Built.Skipped; they are no error.
// On an error, what was built is removed again, and so is a session that was made for it.
func Create(ctx context.Context, projectDir, mirrorDir string, opts Options) (*Mirror, error) {
	start := time.Now()
	m, undo, err := prepare(projectDir, mirrorDir, opts)
	if err == nil {
		var meeting Meeting
		if opts.Standing != nil {
			meeting = opts.Standing(m)
		}
		begun := m.syncBegun()
		err = m.build(ctx, meeting)
		err = errors.Join(err, <-begun)
	}
	if err == nil {
		m.Built.Took = time.Since(start)
		return m, nil
	}
	return nil, errors.Join(fmt.Errorf("create a mirror of %s: %w", projectDir, err), undo.run())
}

// undone is what takes back what was made so far, the latest last.
type undone []func() error

func (u *undone) add(f func() error) { *u = append(*u, f) }

func (u undone) run() error {
	var errs []error
	for _, f := range slices.Backward(u) {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

// prepare makes the session and the empty, marked mirror.
func prepare(projectDir, mirrorDir string, opts Options) (m *Mirror, undo undone, err error) {
	project, err := safety.OpenRoot(projectDir)
	if err != nil {
		return nil, nil, err
	}
	m = &Mirror{Project: project, Base: NewBase(), Options: opts}
	undo.add(project.Close)
	if m.Policy, err = policyFor(project.Path(), opts); err != nil {
		return nil, undo, err
	}
	if m.Built.Population, err = choosePopulation(project.Path(), opts.Population); err != nil {
		return nil, undo, err
	}
	if err := m.openSession(&undo); err != nil {
		return nil, undo, err
	}
	if mirrorDir == "" {
		mirrorDir = filepath.Join(m.Session.Dir(), "mirror")
	}
	if err := safety.CheckRoots(project.Path(), mirrorDir); err != nil {
		return nil, undo, err
	}
	if err := m.openMirror(mirrorDir, &undo); err != nil {
		return nil, undo, err
	}
	return m, undo, m.foldCase()
}

func policyFor(project string, opts Options) (*dotfiles.Policy, error) {
	policy, err := opts.Policy, error(nil)
	if policy == nil {
		policy, err = dotfiles.Read(project, opts.Agent)
	}
	if err != nil || opts.Git == GitNone || policy.Rules().Git {
		return policy, err
	}
	rules := policy.Rules()
	rules.Git = true
	return dotfiles.New(rules)
}

// openSession takes the session of the options or makes one.
func (m *Mirror) openSession(undo *undone) error {
	m.Session = m.Options.Session
	if m.Session != nil {
		return safety.CheckRoots(m.Project.Path(), m.Session.Dir())
	}
	state, err := DefaultStateDir()
	if err != nil {
		return err
	}
	if err := safety.CheckRoots(m.Project.Path(), state.Path()); err != nil {
		return fmt.Errorf("the state directory: %w", err)
	}
	m.Session, err = state.New(m.Project.Path(), Record{Project: m.Project.Path(), Agent: m.Options.Agent, Created: time.Now()})
	if err != nil {
		return err
	}
	undo.add(m.Session.Remove)
	return nil
}

// openMirror makes the mirror's directory, or takes an empty one, and marks it.
func (m *Mirror) openMirror(dir string, undo *undone) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	made, err := makePrivateDir(dir)
	if err != nil {
		return err
	}
	undo.add(func() error { return removeEmpty(made) })
	m.Root, err = safety.OpenRoot(dir)
	if err != nil {
		return err
	}
	undo.add(m.Root.Close)
	if err := checkEmpty(m.Root); err != nil {
		return err
	}
	mark := safety.WriteMarker
	if m.maySettleLater() { // the disk learns of it while it is filled
		mark = safety.WriteMarkerSoon
		m.Session.begin()
	}
	if err := mark(m.Root, m.Session.ID); err != nil {
		return err
	}
	ours := len(made) > 0
	undo.add(func() error { return m.takeAway(ours) })
	if err := m.saveRecord(SessionBuilding); err != nil {
		return err
	}
	if m.maySettleLater() { // what is noted while it is built counts as little after a power cut as what is built
		m.Session.unsettle()
	}
	return nil
}

// maySettleLater reports whether the caller sees to it that the session becomes durable. Where a power cut could not be told
// later, it has to be at once.
func (m *Mirror) maySettleLater() bool { return m.Options.Unsettled && m.Session.Boot != "" }

// takeAway removes a mirror that could not be built. A directory that was there before is there, empty, afterwards.
func (m *Mirror) takeAway(ours bool) error {
	info := m.Root.Info()
	err := safety.RemoveMirror(context.WithoutCancel(context.Background()), m.Root, m.Session.ID)
	if err != nil || ours {
		return err
	}
	if err := os.Mkdir(m.Root.Path(), 0o700); err != nil {
		return err
	}
	return os.Chmod(m.Root.Path(), osMode(info.Mode))
}

// makePrivateDir makes dir and the directories above it that are missing, 0700, and returns those it made, outermost first.
func makePrivateDir(dir string) (made []string, err error) {
	var missing []string
	for at := dir; ; at = filepath.Dir(at) {
		_, err := os.Stat(at)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		missing = append(missing, at)
	}
	for _, at := range slices.Backward(missing) {
		if err := os.Mkdir(at, 0o700); err != nil {
			return made, errors.Join(err, removeEmpty(made))
		}
		made = append(made, at)
	}
	return made, nil
}

// removeEmpty removes the directories, innermost first, as far as they are there and empty.
func removeEmpty(dirs []string) error {
	for _, dir := range slices.Backward(dirs) {
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// checkEmpty refuses a directory that holds anything: nothing that is there is ever deleted to make room.
func checkEmpty(root *safety.Root) error {
	top, err := root.OpenDir(safety.Top)
	if err != nil {
		return err
	}
	defer top.Close()
	names, err := top.ReadDir()
	if err != nil || len(names) == 0 {
		return err
	}
	session, err := safety.ReadMarker(root)
	if err == nil {
		return fmt.Errorf("%s is the mirror of session %s: finish that with `alca-mount recover %s`, or remove both with `alca-mount rm %s`",
			root.Path(), session, session, session)
	}
	return fmt.Errorf("%s exists and is not empty", root.Path())
}

// saveRecord writes what is needed to take the session up again.
func (m *Mirror) saveRecord(state string) error {
	return m.Session.Update(func(r *Record) {
		r.Project, r.Mirror, r.State = m.Project.Path(), m.Root.Path(), state
		r.Rules, r.Population, r.Git, r.Links = m.Policy.Rules(), m.Built.Population, m.Options.Git, m.Options.Links
		if m.Options.Agent != "" {
			r.Agent = m.Options.Agent
		}
	})
}

// build fills the mirror, and saves the base and the record when it is complete.
func (m *Mirror) build(ctx context.Context, meeting Meeting) error {
	b := newBuilder(m.view(ProjectSide), m)
	b.view.meeting = meeting
	defer b.close()
	var err error
	if b.view.only, err = m.population(ctx, ProjectSide); err != nil {
		return err
	}
	if b.late, err = m.mayBringOrphans(); err != nil {
		return err
	}
	if err := b.run(ctx); err != nil {
		return err
	}
	built := time.Now()
	population := m.Built.Population
	m.Built = b.collect()
	m.Built.Population = population
	if err := m.addOwn(ctx); err != nil {
		return err
	}
	if m.Built.Dirs, err = b.finish(); err != nil {
		return err
	}
	sortSkipped(m.Built.Skipped)
	m.keepReadOnly(b)
	if err := m.saveBuilt(); err != nil {
		return err
	}
	if !stampsLooks(m.Root, m.Session.Dir()) {
		m.rested = built.Add(2 * tick())
	}
	if m.Options.Unsettled {
		return nil
	}
	return m.Rest(ctx)
}

// Rest waits until edits of a mirror that was just built can be told from the building.
// RACE: the agent's first edit, in the same tick as the copy and of the same size, would move no stamp.
func (m *Mirror) Rest(ctx context.Context) error { return sleep(ctx, time.Until(m.rested)) }

// saveBuilt notes that the mirror is whole.
func (m *Mirror) saveBuilt() error {
	if m.maySettleLater() {
		return m.saveUnsettled()
	}
	if err := m.SaveBase(); err != nil {
		return err
	}
	return m.saveRecord(SessionReady)
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// addOwn adds what is not the project's as it is: the README, unless the project has an entry of that name, and .git.
func (m *Mirror) addOwn(ctx context.Context) error {
	if err := m.addReadme(); err != nil {
		return err
	}
	if err := m.bringOrphans(ctx); err != nil {
		return err
	}
	return m.addGit(ctx) // last: its excludes name what only the mirror has
}

func (m *Mirror) addReadme() error {
	top, err := m.Root.OpenDir(safety.Top)
	if err != nil {
		return err
	}
	defer top.Close()
	there, err := top.Lstat(ReadmeName)
	if err != nil || there.Kind != safety.Absent {
		return err
	}
	m.Base.ownReadme = true
	f, err := top.Create(ReadmeName, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(readmeText(m.Options.Agent, m.Policy.Rules().ReadOnly, m.Options.Links))
	return errors.Join(err, f.Close())
}

// baseFile is where a session keeps its base.
func baseFile(s *Session) string { return filepath.Join(s.Dir(), "base") }
