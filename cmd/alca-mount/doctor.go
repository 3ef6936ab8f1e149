package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/alca-mount/alca-mount/cmd/alca-mount/internal/doctor"
	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/launcher"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

func (a *app) doctorCommand() *cobra.Command {
	flags := &ruleFlags{}
	c := &cobra.Command{
		Use:   "doctor [--agent NAME]",
		Short: "Say what limits alca-mount here, and what to do about it",
		Long: `Look at this machine and this project: whether a command can run in a namespace (by running one), Landlock, container
engines, watch limits against the size of the project, whether copies share blocks, the rule files, sessions that were
left over. Nothing is changed. The exit code is 1 if something limits.`,
		Args: args(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := interruptible(c.Context())
			defer stop()
			return stopped(ctx, a.doctor(ctx, c, flags))
		},
	}
	flags.add(c.Flags())
	return c
}

type jsonDoctor struct {
	Project  string           `json:"project"`
	Limits   bool             `json:"limits"`
	Findings []doctor.Finding `json:"findings"`
}

func (a *app) doctor(ctx context.Context, c *cobra.Command, flags *ruleFlags) error {
	where, err := findPlace(a.project)
	if err == nil {
		err = refuseInsideMirror(where.project)
	}
	if err != nil {
		return err
	}
	facts, err := a.facts(ctx, c, where.project, flags)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	found := doctor.Examine(facts)
	bad := doctor.Bad(found)
	if a.json {
		err = a.answer(jsonDoctor{where.project, bad, found})
	} else {
		err = a.write([]byte(doctorText(where.project, found)))
	}
	if err == nil && bad {
		err = &exitError{code: exitPartly}
	}
	return err
}

func doctorText(project string, found []doctor.Finding) string {
	var b strings.Builder
	fmt.Fprintf(&b, "project %s\n", show(project))
	for _, f := range found {
		fmt.Fprintf(&b, "%-7s %-11s %s\n", f.Level, f.Check, oneLine(f.Text))
		if f.Fix != "" {
			fmt.Fprintf(&b, "%-7s %-11s → %s\n", "", "", oneLine(f.Fix))
		}
	}
	return b.String()
}

// facts looks at everything that there is to say something about.
func (a *app) facts(ctx context.Context, c *cobra.Command, project string, flags *ruleFlags) (doctor.Facts, error) {
	f := doctor.Facts{Linux: runtime.GOOS == "linux"}
	state, err := mirror.DefaultStateDir()
	if err != nil {
		return f, err
	}
	f.Sessions, err = leftOver(state, project)
	if err != nil {
		return f, err
	}
	addMachine(&f, launcher.Probe(ctx, project))
	policy := a.ruleFacts(&f, c, project, flags)
	if policy == nil {
		return f, nil
	}
	seen, err := walkProject(ctx, project, policy)
	if err != nil {
		return f, err
	}
	f.Rules.Different = differences(policy, seen)
	f.Watches = watchLimits()
	f.Watches.Need = 2*(seen.dirs+1) + hiddenDirs(seen)
	f.Reflink = tryReflink(ctx, project, seen, state.Path())
	return f, nil
}

// ruleFacts reads the rules; nil where they can't be read, which is a fact of its own.
func (a *app) ruleFacts(f *doctor.Facts, c *cobra.Command, project string, flags *ruleFlags) *dotfiles.Policy {
	err := a.settleRules(c.Flags(), flags)
	var policy *dotfiles.Policy
	if err == nil {
		if flags.config != nil {
			f.Image = flags.config.Config.Image
		}
		policy, err = flags.policy(project, flags.agent)
	}
	if err != nil {
		f.Rules.Err = err.Error()
		return nil
	}
	f.Rules.Any, f.Rules.Foreign = hasRules(project), dotfiles.Foreign(project)
	for _, w := range policy.Warnings() {
		f.Rules.Warnings = append(f.Rules.Warnings, fmt.Sprintf("%s:%d: %s", show(w.Source), w.Line, w.Text))
	}
	return policy
}

func addMachine(f *doctor.Facts, m launcher.Machine) {
	if m.Namespace != nil {
		f.Namespace = doctor.Namespace{Why: m.Namespace.Error(), Fix: m.Fix}
	}
	f.Landlock = doctor.Landlock{ABI: m.Landlock, Writes: launcher.LandlockWrites, Scopes: launcher.LandlockScopes}
	for _, e := range m.Engines {
		one := doctor.Engine{Runtime: string(e.Runtime), Kind: e.Kind, Version: e.Version}
		if e.Err != nil {
			one.Why = fmt.Sprintf("%s: %v", e.Runtime, e.Err)
		}
		f.Engines = append(f.Engines, one)
	}
}

func leftOver(state *mirror.StateDir, project string) ([]doctor.Session, error) {
	all, err := state.List(project)
	if err != nil {
		return nil, err
	}
	var out []doctor.Session
	for _, s := range all {
		if how, _ := stateOf(s); how != mirror.SessionEnded {
			out = append(out, doctor.Session{ID: s.ID, State: how})
		}
	}
	return out, nil
}

func walkProject(ctx context.Context, project string, policy *dotfiles.Policy) (*preview, error) {
	root, err := safety.OpenRoot(project)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	seen := newPreview()
	return seen, seen.walk(ctx, root, policy, safety.Top, dotfiles.Writable)
}

// hiddenDirs are watched as well, in the project.
func hiddenDirs(p *preview) int {
	n := 0
	for _, e := range p.hidden {
		if e.dir && e.verdict.Access == dotfiles.Hidden {
			n++
		}
	}
	return n
}

// compared bounds how many pairs of pattern and path the second reader is asked about: about a second's.
const compared = 100_000

// differences asks the second reader about a sample of the project's paths, hidden ones first.
func differences(policy *dotfiles.Policy, seen *preview) []doctor.Difference {
	rules := policy.Rules()
	patterns := len(rules.Hidden) + len(rules.ReadOnly) + len(rules.Excludes)
	if patterns == 0 {
		return nil
	}
	var out []doctor.Difference
	for _, d := range policy.ReadDifferently(sample(seen, compared/patterns)) {
		where := d.Rule.Source
		if d.Rule.Line > 0 {
			where = fmt.Sprintf("%s:%d", where, d.Rule.Line)
		}
		out = append(out, doctor.Difference{Where: where, Pattern: d.Rule.Pattern, Path: show(d.Path), Matches: d.Matches})
	}
	return out
}

// sample takes what is hidden, then what is mirrored, at even distances.
func sample(seen *preview, most int) []string {
	var out []string
	add := func(p safety.RelPath, dir bool) {
		name := string(p)
		if dir {
			name += "/"
		}
		out = append(out, name)
	}
	for _, e := range seen.hidden {
		add(e.path, e.dir)
	}
	step := 1 + len(seen.mirrored)/max(1, most)
	for i := 0; i < len(seen.mirrored); i += step {
		add(seen.mirrored[i], seen.folders[seen.mirrored[i]])
	}
	return out[:min(len(out), most)]
}

// tryReflink copies one of the project's files to where mirrors are made, into a file without a name there.
func tryReflink(ctx context.Context, project string, seen *preview, state string) doctor.Reflink {
	out := doctor.Reflink{State: state}
	dir := state
	for _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist); _, err = os.Stat(dir) {
		dir = filepath.Dir(dir)
	}
	for _, p := range seen.mirrored {
		src, err := openContent(filepath.Join(project, string(p)))
		if err != nil {
			continue
		}
		defer src.Close()
		dst, err := os.CreateTemp(dir, ".alca-mount-probe")
		if err != nil {
			return out
		}
		defer dst.Close()
		if err := os.Remove(dst.Name()); err != nil {
			return out
		}
		copied, err := safety.CopyContent(ctx, dst, src)
		out.Tried, out.Shared = err == nil, copied.Method == safety.Reflink
		return out
	}
	return out
}

// mostProbed is the largest file that is worth copying to find out.
const mostProbed = 64 << 20

// openContent opens a file that has at least a block, which the smallest may lack on file systems that keep them inline.
func openContent(name string) (*os.File, error) {
	info, err := os.Lstat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() < 4096 || info.Size() > mostProbed {
		return nil, fs.ErrInvalid
	}
	return os.Open(name)
}
