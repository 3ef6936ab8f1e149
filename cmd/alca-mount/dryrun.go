package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/mirror"
	"github.com/alca-mount/alca-mount/safety"
)

// preview is what a mirror would be made of. All lists are sorted as a walk meets them.
type preview struct {
	mirrored           []safety.RelPath
	folders            map[safety.RelPath]bool // those of mirrored that are directories
	readonly, hidden   []previewed
	skipped            []mirror.Skipped
	files, dirs, links int
	bytes              int64
}

func newPreview() *preview { return &preview{folders: map[safety.RelPath]bool{}} }

type previewed struct {
	path    safety.RelPath
	dir     bool
	verdict dotfiles.Verdict
}

// dryRun prints what would be mirrored, hidden and read-only. It writes nothing, not even the state directory.
func (a *app) dryRun(ctx context.Context, flags *mirrorFlags, command []string) error {
	if flags.population.value == "git" {
		return unsupported("--dry-run with --population git", "use --population walk, which shows all that the rules allow")
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	where, policy, err := a.prepare(flags, command)
	if err == nil {
		err = checkProject(where.project)
	}
	if err != nil {
		return err
	}
	if flags.population.value == "auto" {
		a.out().warn("--population auto is shown as walk: a run leaves out what git ignores, where git can tell")
	}
	root, err := safety.OpenRoot(where.project)
	if err != nil {
		return fmt.Errorf("dry run: %w", err)
	}
	defer root.Close()
	p := newPreview()
	if err := p.walk(ctx, root, policy, safety.Top, dotfiles.Writable); err != nil {
		return stopped(ctx, err)
	}
	if a.json {
		return a.answer(p.json(where.project, a.verbose))
	}
	return a.write([]byte(p.text(where.project, a.verbose)))
}

func (p *preview) walk(ctx context.Context, root *safety.Root, policy *dotfiles.Policy, at safety.RelPath, access dotfiles.Access) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	dir, err := root.OpenDir(at)
	if err != nil {
		return p.leaveOut(at, err)
	}
	defer dir.Close()
	entries, err := dir.ReadDir()
	if err != nil {
		return p.leaveOut(at, err)
	}
	for _, e := range entries {
		path := at.Join(e.Name)
		info, err := dir.Lstat(e.Name)
		if err != nil {
			if err := p.leaveOut(path, err); err != nil {
				return err
			}
			continue
		}
		if p.add(policy, path, access, at, info) {
			next := policy.AccessBelow(string(at), access, e.Name, true)
			if err := p.walk(ctx, root, policy, path, next); err != nil {
				return err
			}
		}
	}
	return nil
}

// leaveOut notes an entry that can't be read; the project's top itself must be.
func (p *preview) leaveOut(at safety.RelPath, err error) error {
	if at == safety.Top {
		return fmt.Errorf("dry run: %w", err)
	}
	p.skipped = append(p.skipped, mirror.Skipped{Path: at, Why: bareErr(err).Error()})
	return nil
}

// add notes one entry and reports whether to go on below it.
func (p *preview) add(policy *dotfiles.Policy, path safety.RelPath, above dotfiles.Access, dir safety.RelPath, info safety.Info) bool {
	isDir := info.Kind == safety.Directory
	access := policy.AccessBelow(string(dir), above, path.Base(), isDir)
	switch {
	case !access.Mirrored():
		p.hidden = append(p.hidden, previewed{path, isDir, policy.Explain(string(path), isDir)})
		return false
	case info.Kind == safety.Special:
		p.skipped = append(p.skipped, mirror.Skipped{Path: path, Why: "neither file, directory nor link"})
		return false
	case info.Kind == safety.Absent:
		return false
	case path == safety.MarkerName:
		return false
	}
	p.mirrored = append(p.mirrored, path)
	switch info.Kind {
	case safety.Directory:
		p.dirs++
		p.folders[path] = true
	case safety.Symlink:
		p.links++
	case safety.File:
		p.files++
		p.bytes += info.Size
	}
	if access == dotfiles.ReadOnly && (above != dotfiles.ReadOnly || !isDir && info.Kind == safety.File) {
		p.readonly = append(p.readonly, previewed{path, isDir, policy.Explain(string(path), isDir)})
	}
	return isDir
}

type jsonPreviewed struct {
	jsonPath
	Access  string `json:"access"`
	Source  string `json:"source"`
	Line    int    `json:"line"`
	Pattern string `json:"pattern"`
}

type jsonPreview struct {
	Project  string          `json:"project"`
	Files    int             `json:"files"`
	Dirs     int             `json:"dirs"`
	Links    int             `json:"links"`
	Bytes    int64           `json:"bytes"`
	Hidden   []jsonPreviewed `json:"hidden"`
	ReadOnly []jsonPreviewed `json:"readonly"`
	Skipped  []jsonNote      `json:"skipped"`
	Mirrored []listedPath    `json:"mirrored,omitempty"`
}

func (p *preview) json(project string, all bool) jsonPreview {
	out := jsonPreview{
		Project: project, Files: p.files, Dirs: p.dirs, Links: p.links, Bytes: p.bytes,
		Hidden: previewedJSON(p.hidden), ReadOnly: previewedJSON(p.readonly), Skipped: skippedJSON(p.skipped),
	}
	if all {
		out.Mirrored = listPaths(p.mirrored)
	}
	return out
}

func previewedJSON(list []previewed) []jsonPreviewed {
	out := make([]jsonPreviewed, len(list))
	for i, e := range list {
		r := e.verdict.Rule
		out[i] = jsonPreviewed{pathFields(string(e.path)), e.verdict.Access.String(), r.Source, r.Line, r.Pattern}
	}
	return out
}

func (p *preview) text(project string, all bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "project %s\nmirrored: %s, %s, %s, %s\n", show(project),
		count(p.files, "file"), count(p.dirs, "directory"), count(p.links, "link"), humanBytes(p.bytes))
	if all {
		for _, path := range p.mirrored {
			fmt.Fprintf(&b, "    %s\n", show(string(path)))
		}
	}
	byRule, byDefault := p.split()
	previewedText(&b, "hidden", byRule)
	previewedText(&b, "excluded", byDefault)
	previewedText(&b, "read-only", p.readonly)
	if len(p.skipped) > 0 {
		fmt.Fprintf(&b, "left out for other reasons: %d\n", len(p.skipped))
		for _, s := range p.skipped {
			fmt.Fprintf(&b, "    %s  %s\n", show(string(s.Path)), oneLine(s.Why))
		}
	}
	return b.String()
}

// split tells what rules hide, which the start line counts, from what the built-in list leaves out.
func (p *preview) split() (byRule, byDefault []previewed) {
	for _, e := range p.hidden {
		if e.verdict.Access == dotfiles.Excluded {
			byDefault = append(byDefault, e)
			continue
		}
		byRule = append(byRule, e)
	}
	return byRule, byDefault
}

func previewedText(b *strings.Builder, what string, list []previewed) {
	fmt.Fprintf(b, "%s: %d\n", what, len(list))
	for _, e := range list {
		name := string(e.path)
		if e.dir {
			name += "/"
		}
		fmt.Fprintf(b, "    %s  %s\n", show(name), ruleText(e.verdict))
	}
}
