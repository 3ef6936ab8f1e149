package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alca-mount/alca-mount/cmd/alca-mount/internal/preflight"
	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// askAboutSecrets lists likely secrets that CMD would see, before the first launch in a project without rule files, and
// offers to write rules that hide them. It reports whether it wrote any. Only for somebody at a terminal.
func (a *app) askAboutSecrets(ctx context.Context, where place, policy *dotfiles.Policy, state *mirror.StateDir) (wrote bool, err error) {
	if !a.askable() || a.seen(state, where.project).Preflight || hasRules(where.project) {
		return false, nil
	}
	found, _, err := secrets(ctx, where.project, policy, preflight.DefaultLimits())
	if err != nil || len(found) == 0 {
		return false, err
	}
	a.tellSecrets(found)
	if !a.takesOffer("write .agentignore, which hides them from CMD? [y/N] ") {
		a.markSeen(state, where.project, func(s *seen) { s.Preflight = true })
		return false, nil
	}
	if err := writeNew(filepath.Join(where.project, ".agentignore"), ignoreFile(found, nil)); err != nil {
		return false, err
	}
	a.out().say("wrote .agentignore")
	return true, nil
}

// secretsLater returns what looks for likely secrets among the files of a mirror, by name and beside what else goes on, and
// what tells of them: for a first launch without a terminal, where nothing can be asked.
func (a *app) secretsLater(ctx context.Context, project string, state *mirror.StateDir) (look func(iter.Seq2[safety.RelPath, string]), tell func()) {
	if a.askable() || a.seen(state, project).Preflight || hasRules(project) {
		return nil, func() {}
	}
	var done chan []preflight.Finding // nil: there was no mirror to look at
	look = func(files iter.Seq2[safety.RelPath, string]) {
		done = make(chan []preflight.Finding, 1)
		go func() {
			found, _ := secretNames(ctx, project, files)
			done <- found
		}()
	}
	return look, func() {
		if done == nil {
			return
		}
		found := <-done
		if len(found) == 0 {
			return
		}
		a.tellSecrets(found)
		a.out().item("alca-mount init writes rules that hide them; this is said once")
		a.markSeen(state, project, func(s *seen) { s.Preflight = true })
	}
}

func secretNames(ctx context.Context, project string, files iter.Seq2[safety.RelPath, string]) ([]preflight.Finding, error) {
	root, err := safety.OpenRoot(project)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return preflight.Names(ctx, root, files)
}

func (a *app) tellSecrets(found []preflight.Finding) {
	o := a.out()
	look := "look"
	if len(found) == 1 {
		look = "looks"
	}
	o.warn("%s that CMD can see %s like secrets:", count(len(found), "file"), look)
	for i, f := range found {
		if i == maxListed && !o.verbose {
			o.item(fmt.Sprintf("… and %d more: alca-mount init --dry-run", len(found)-i))
			return
		}
		o.item(show(string(f.Path)) + "  " + f.Why)
	}
}

// hasRules reports whether somebody has decided already what an agent sees of the project.
func hasRules(project string) bool {
	rules, err := holdsRules(project)
	return err == nil && rules != ""
}

func secrets(ctx context.Context, project string, policy *dotfiles.Policy, limits preflight.Limits) ([]preflight.Finding, bool, error) {
	root, err := safety.OpenRoot(project)
	if err != nil {
		return nil, false, err
	}
	defer root.Close()
	return preflight.Scan(ctx, root, func(p string, isDir bool) bool { return policy.Access(p, isDir).Mirrored() }, limits)
}

// takesOffer asks, unless -y has answered.
func (a *app) takesOffer(question string) bool { return a.yes || a.ask(question) }

// ignoreFile is an .agentignore that hides the files found, after the lines of other rule files.
func ignoreFile(found []preflight.Finding, before []string) string {
	lines := append([]string{
		"# What agents do not see of this project, in the syntax of .gitignore.",
		"# alca-mount explain PATH says which line hides a path; alca-mount --dry-run lists all that is hidden.",
	}, before...)
	if len(found) > 0 {
		lines = append(lines, "", "# These looked like secrets:")
	}
	for _, f := range found {
		lines = append(lines, dotfiles.Literal(string(f.Path)))
	}
	return strings.Join(lines, "\n") + "\n"
}

// writeNew writes a file that must not be there yet.
func writeNew(name, content string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("write %s: %w", show(name), bareErr(err))
	}
	_, err = f.WriteString(content)
	return errors.Join(err, f.Close())
}

// seen is what a project's user was told once and is not told again.
type seen struct {
	Preflight bool     `json:"preflight,omitempty"`
	Foreign   []string `json:"foreign,omitempty"`
}

const seenName = "seen.json"

func (a *app) seen(state *mirror.StateDir, project string) (s seen) {
	dir, err := state.PrivateProjectDir(project)
	if err != nil {
		return s
	}
	data, err := os.ReadFile(filepath.Join(dir, seenName))
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.out().more("%s: %v", seenName, err)
	}
	return s
}

// markSeen remembers that something was told. What can't be remembered is told again: no reason to stop.
func (a *app) markSeen(state *mirror.StateDir, project string, mark func(*seen)) {
	s := a.seen(state, project)
	mark(&s)
	dir, err := state.MakeProjectDir(project)
	if err == nil {
		var data []byte
		if data, err = json.Marshal(s); err == nil {
			err = safety.WriteFileDurably(filepath.Join(dir, seenName), data, 0o600)
		}
	}
	if err != nil {
		a.out().more("%s: %v", seenName, err)
	}
}

// tellForeign names, once, the ignore files of other tools: who wrote them may count on them.
func (a *app) tellForeign(state *mirror.StateDir, project string) {
	files := dotfiles.Foreign(project)
	told := a.seen(state, project).Foreign
	files = slices.DeleteFunc(files, func(f string) bool { return slices.Contains(told, f) })
	if len(files) == 0 {
		return
	}
	a.out().warn("of other tools, not obeyed: %s; .agentignore is; alca-mount init takes their lines over (said once)", showAll(files))
	a.markSeen(state, project, func(s *seen) { s.Foreign = append(s.Foreign, files...) })
}
