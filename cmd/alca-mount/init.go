package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/alca-mount/alca-mount/cmd/alca-mount/internal/preflight"
	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

// initFlags are init's.
type initFlags struct {
	dryRun   bool
	config   bool
	noImport bool
}

func (a *app) initCommand() *cobra.Command {
	flags := &initFlags{}
	c := &cobra.Command{
		Use:   "init [--dry-run] [--config] [--no-import]",
		Short: "Write rule files that fit the project",
		Long: `Write .agentignore and .agentreadonly, with comments, into the project: files that look like secrets are hidden, the
lines of other tools' ignore files taken over, what should not change by the way is write-protected. Files that are there
already are left alone.`,
		Args: args(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error { return a.init(c.Context(), flags) },
	}
	f := c.Flags()
	f.BoolVar(&flags.dryRun, "dry-run", false, "print what would be written, on stdout; write nothing")
	f.BoolVar(&flags.config, "config", false, "write an .alca.toml as well; at a terminal it is asked for")
	f.BoolVar(&flags.noImport, "no-import", false, "leave the ignore files of other tools out")
	return c
}

// newFile is one that init would write.
type newFile struct {
	name, content, what string
}

func (a *app) init(ctx context.Context, flags *initFlags) error {
	if err := a.usersOnly("init"); err != nil {
		return err
	}
	where, err := findPlace(a.project)
	if err == nil {
		err = refuseInsideMirror(where.project)
	}
	if err == nil {
		err = checkProject(where.project)
	}
	if err != nil {
		return err
	}
	files, err := a.initFiles(ctx, where.project, flags)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := a.offerFile(where.project, f, flags.dryRun); err != nil {
			return err
		}
	}
	if !flags.dryRun {
		if state, err := stateFor(where.project); err == nil && !flags.noImport {
			a.markSeen(state, where.project, func(s *seen) { s.Foreign = dotfiles.Foreign(where.project) })
		}
		if err := a.tellStillSeen(ctx, where.project); err != nil {
			return err
		}
		a.out().say("next: alca-mount --dry-run shows what an agent would see, alca-mount -- CMD runs one")
		if hide := hideThere(); hide != "" {
			a.out().say("outside the project, too: alca-mount%s -- CMD", hide)
		}
	}
	return nil
}

// hideThere are the flags that hide the usual places of keys, of those that are there: of any other --hide is an error.
func hideThere() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	flags := ""
	for _, name := range []string{".ssh", ".aws", ".gnupg"} {
		if _, err := os.Stat(filepath.Join(home, name)); err == nil {
			flags += " --hide ~/" + name
		}
	}
	return flags
}

// tellStillSeen names what looks like a secret and is not hidden by the rules as they are now.
func (a *app) tellStillSeen(ctx context.Context, project string) error {
	policy, err := dotfiles.Read(project, "")
	if err != nil {
		return err
	}
	found, _, err := secrets(ctx, project, policy, preflight.Limits{Time: initTime})
	if len(found) > 0 {
		a.tellSecrets(found)
	}
	return err
}

// initTime bounds how long init looks at contents: longer than a launch, since it was asked to.
const initTime = 10 * time.Second

// offerFile writes one file, or says why not. What is there is never overwritten.
func (a *app) offerFile(project string, f newFile, dryRun bool) error {
	if dryRun {
		_, err := fmt.Fprintf(a.stdout, "==> %s\n%s", f.name, f.content)
		return err
	}
	err := writeNew(filepath.Join(project, f.name), f.content)
	switch {
	case errors.Is(err, fs.ErrExist):
		a.out().say("left alone: %s is there already", f.name)
		return nil
	case err != nil:
		return err
	}
	a.out().say("wrote %s: %s", f.name, f.what)
	return nil
}

func (a *app) initFiles(ctx context.Context, project string, flags *initFlags) ([]newFile, error) {
	kinds := kindsOf(project)
	var foreign []string
	if !flags.noImport {
		var err error
		if foreign, err = foreignLines(project); err != nil {
			return nil, err
		}
	}
	before := append(usualSecrets(), foreign...)
	policy, err := dotfiles.New(dotfiles.Rules{Hidden: asRules(before)})
	if err != nil {
		return nil, err
	}
	found, _, err := secrets(ctx, project, policy, preflight.Limits{Time: initTime})
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("the usual secrets, %s more that looked like some", count(len(found), "file"))
	if len(foreign) > 0 {
		what += ", and the lines of " + showAll(dotfiles.Foreign(project))
	}
	files := []newFile{
		{".agentignore", ignoreFile(found, before), what},
		{".agentreadonly", readonlyFile(kinds), "nothing yet but suggestions, to be uncommented"},
	}
	if flags.config || a.askable() && !flags.dryRun && !exists(project, ".alca.toml") && a.takesOffer("write .alca.toml, the configuration, with suggestions in comments? [y/N] ") {
		files = append(files, newFile{".alca.toml", configFile(kinds), "suggestions, to be uncommented"})
	}
	return files, nil
}

func exists(dir, name string) bool {
	_, err := os.Lstat(filepath.Join(dir, name))
	return err == nil
}

// asRules makes rules of the lines of a rule file that are patterns.
func asRules(lines []string) []dotfiles.Rule {
	var out []dotfiles.Rule
	for _, l := range lines {
		if l != "" && !strings.HasPrefix(l, "#") {
			out = append(out, dotfiles.Rule{Pattern: l, Source: ".agentignore"})
		}
	}
	return out
}

// foreignLines are the lines of other tools' ignore files, each file under a comment that names it.
func foreignLines(project string) ([]string, error) {
	root, err := safety.OpenRoot(project)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var out []string
	for _, name := range dotfiles.Foreign(project) {
		data, err := readRuleFile(root, name)
		if err != nil {
			return nil, fmt.Errorf("take over %s: %w; --no-import leaves it out", name, err)
		}
		out = append(out, "", "# From "+name+":")
		for line := range bytes.Lines(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))) {
			out = append(out, string(bytes.TrimRight(line, "\r\n")))
		}
	}
	return out, nil
}

// kind is what a project is written in, told by a file at its top.
type kind struct {
	name, mark string
	readonly   []string // suggestions
	image      string
	overlay    string
}

func kinds() []kind {
	return []kind{
		{"Node", "package.json", []string{"package-lock.json", "yarn.lock", "pnpm-lock.yaml"}, "node:24", "node_modules"},
		{"Python", "pyproject.toml", []string{"uv.lock", "poetry.lock"}, "python:3.13", ".venv"},
		{"Python", "requirements.txt", []string{"requirements.txt"}, "python:3.13", ".venv"},
		{"Go", "go.mod", []string{"go.sum"}, "golang:1.26", ""},
		{"Rust", "Cargo.toml", []string{"Cargo.lock"}, "rust:1", "target"},
		{"Ruby", "Gemfile", []string{"Gemfile.lock"}, "ruby:3", "vendor/bundle"},
		{"PHP", "composer.json", []string{"composer.lock"}, "php:8", "vendor"},
		{"Java", "build.gradle", []string{"gradle/"}, "gradle:8", ".gradle"},
		{"Java", "pom.xml", nil, "maven:3", "target"},
	}
}

func kindsOf(project string) []kind {
	var out []kind
	for _, k := range kinds() {
		if exists(project, k.mark) {
			out = append(out, k)
		}
	}
	return out
}

// usualSecrets are the lines that any project does well with.
func usualSecrets() []string {
	return []string{
		"", "# Environment files, but for examples",
		".env", ".env.*", "!.env.example", "!.env.sample", "!.env.template", "!.env.dist",
		"", "# Keys, key stores, logins. Certificates that a program needs are let through by a line like !certs/ca.pem below.",
		"id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "*.pem", "*.key", "*.ppk", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", ".netrc", ".git-credentials", ".pgpass",
		"", "# Infrastructure state holds its secrets in plain text",
		"*.tfstate", "*.tfstate.*",
	}
}

func readonlyFile(found []kind) string {
	lines := []string{
		"# What agents may read and not change, in the syntax of .gitignore. Changes of these never come home.",
		"", "# What says how the project is built, released and owned:",
		"#.github/", "#.gitlab-ci.yml", "#Dockerfile", "#LICENSE", "#CODEOWNERS",
	}
	for _, k := range found {
		for _, p := range k.readonly {
			if len(lines) == 8 {
				lines = append(lines, "", "# What tools write by themselves; an agent that adds a dependency has to change it:")
			}
			lines = append(lines, "#"+p)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

func configFile(found []kind) string {
	lines := []string{
		"# The configuration of alca-mount for this project; alca-mount config shows what comes of it.",
		"", "# sync.mode = \"live\"          # live | exit | review | off",
		"# git = \"import\"              # none | copy | import: the agent's commits come home as refs",
	}
	for _, k := range found {
		lines = append(lines, "", "# "+k.name+":", fmt.Sprintf("# image = %q         # run in a container; absent: none", k.image))
		if k.overlay != "" {
			lines = append(lines, "# [[overlay]]                 # a copy of the dependencies that is the agent's own", fmt.Sprintf("# path = %q", k.overlay))
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// maxRuleFile is more than anybody writes by hand.
const maxRuleFile = 1 << 20

func readRuleFile(root *safety.Root, name string) ([]byte, error) {
	f, info, err := root.Open(safety.RelPath(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.Size > maxRuleFile {
		return nil, fmt.Errorf("%d bytes; expected %d at most", info.Size, maxRuleFile)
	}
	data := make([]byte, info.Size)
	n, err := f.ReadAt(data, 0)
	if n == len(data) {
		err = nil
	}
	return data[:n], err
}
