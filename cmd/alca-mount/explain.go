package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/alca-mount/alca-mount/dotfiles"
)

func (a *app) explainCommand() *cobra.Command {
	flags := &ruleFlags{}
	var stdin, nul bool
	c := &cobra.Command{
		Use:   "explain [--agent NAME] [--stdin] [-z] PATH…",
		Short: "Say which access paths have, and by which rule",
		Long: `Say which access each PATH has and which rule decided. A trailing / asks for a directory; else what is on disk counts.
Paths are relative to the current directory, with -C to the project. They need not exist.
The exit code is 0 if a path is hidden or left out, 1 if none is.`,
		Example: "  alca-mount explain .env src/\n  git ls-files -z | alca-mount explain --stdin -z --json",
		RunE: func(c *cobra.Command, paths []string) error {
			if err := a.settleRules(c.Flags(), flags); err != nil {
				return err
			}
			if stdin == (len(paths) > 0) {
				return errors.New("explain takes paths, or --stdin and no paths; see alca-mount explain --help")
			}
			e, err := a.newExplainer(flags, nul)
			if err != nil {
				return err
			}
			return e.all(paths, stdin)
		},
	}
	flags.add(c.Flags())
	c.Flags().BoolVar(&stdin, "stdin", false, "read the paths from stdin, one a line")
	c.Flags().BoolVarP(&nul, "null", "z", false, "paths on stdin, and fields of plain output, end with NUL")
	return c
}

// explainer answers for one path after the other.
type explainer struct {
	app    *app
	policy *dotfiles.Policy
	where  place
	base   string // what relative paths are relative to
	nul    bool
	w      *bufio.Writer
	hidden bool // some path was
}

func (a *app) newExplainer(flags *ruleFlags, nul bool) (*explainer, error) {
	where, err := findPlace(a.project)
	if err != nil {
		return nil, err
	}
	policy, err := flags.policy(where.project, flags.agent)
	if err != nil {
		return nil, err
	}
	tellRules(a.out(), policy)
	base := where.cwd
	if a.project != "" {
		base = where.project
	}
	return &explainer{app: a, policy: policy, where: where, base: base, nul: nul, w: bufio.NewWriter(a.stdout)}, nil
}

func (e *explainer) all(paths []string, stdin bool) error {
	err := e.each(paths, stdin)
	if ferr := e.w.Flush(); err == nil {
		err = ferr
	}
	if err == nil && !e.hidden {
		return &exitError{code: exitPartly}
	}
	return err
}

func (e *explainer) each(paths []string, stdin bool) error {
	for _, p := range paths {
		if err := e.one(p); err != nil {
			return err
		}
	}
	if !stdin {
		return nil
	}
	return e.lines(bufio.NewReader(e.app.stdin))
}

// lines answers for each path that it reads. A line's end is a newline alone: a name may end with a carriage return.
func (e *explainer) lines(in *bufio.Reader) error {
	end := byte('\n')
	if e.nul {
		end = 0
	}
	for {
		line, err := in.ReadString(end)
		if path := strings.TrimSuffix(line, string(end)); line != "" {
			if err := e.one(path); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && in.Buffered() == 0 {
			err = e.w.Flush() // who writes a path and waits gets the answer
		}
		if err != nil {
			return fmt.Errorf("explain --stdin: %w", err)
		}
	}
}

func (e *explainer) one(given string) error {
	rel, err := e.relative(given)
	if err != nil {
		return err
	}
	v := dotfiles.Verdict{Access: dotfiles.Writable}
	if rel != "." {
		v = e.policy.Explain(rel, e.isDir(given, rel))
	}
	e.hidden = e.hidden || !v.Access.Mirrored()
	return e.tell(given, v)
}

// relative turns a path as given into one relative to the project.
func (e *explainer) relative(given string) (string, error) {
	if given == "" || strings.ContainsRune(given, 0) {
		return "", fmt.Errorf("explain: %q is not a path", given)
	}
	abs := filepath.FromSlash(given)
	if !filepath.IsAbs(abs) {
		abs = filepath.Join(e.base, abs)
	}
	rel, err := filepath.Rel(e.where.project, filepath.Clean(abs))
	if err != nil || !filepath.IsLocal(rel) {
		return "", fmt.Errorf("explain: %s is outside of the project %s", show(given), show(e.where.project))
	}
	return filepath.ToSlash(rel), nil
}

func (e *explainer) isDir(given, rel string) bool {
	if strings.HasSuffix(given, "/") {
		return true
	}
	info, err := os.Lstat(filepath.Join(e.where.project, filepath.FromSlash(rel)))
	return err == nil && info.IsDir()
}

type jsonVerdict struct {
	jsonPath
	Access  string `json:"access"`
	Source  string `json:"source"`
	Line    int    `json:"line"`
	Pattern string `json:"pattern"`
}

func (e *explainer) tell(given string, v dotfiles.Verdict) error {
	if e.app.json {
		data, err := marshal(jsonVerdict{pathFields(given), v.Access.String(), v.Rule.Source, v.Rule.Line, v.Rule.Pattern})
		if err == nil {
			_, err = e.w.Write(append(data, '\n'))
		}
		return err
	}
	line := ""
	if v.Rule.Line > 0 {
		line = fmt.Sprint(v.Rule.Line)
	}
	if e.nul {
		for _, field := range []string{v.Access.String(), v.Rule.Source, line, v.Rule.Pattern, given} {
			io.WriteString(e.w, field+"\x00")
		}
		return nil // a write error stays in the writer until Flush
	}
	rule := ""
	if v.Rule.Source != "" {
		rule = "\t" + ruleText(v)
	}
	_, err := fmt.Fprintf(e.w, "%s\t%s%s\n", v.Access, show(given), rule)
	return err
}
