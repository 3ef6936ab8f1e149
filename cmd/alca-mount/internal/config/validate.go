package config

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/alca-mount/alca-mount/dotfiles"
)

// DefaultWorkdir is where the project is in a container unless a file says otherwise.
const DefaultWorkdir = "/workspace"

// validate looks at what only the whole can say.
func (m *Merged) validate() Errors {
	var errs Errors
	m.validateContainer(&errs)
	m.validateMounts(&errs)
	m.validateOverlays(&errs)
	return errs
}

// validateContainer refuses settings of a container in a project that says of none: they would do nothing. The user's
// own may be meant for the projects that have one.
func (m *Merged) validateContainer(errs *Errors) {
	if m.root.at("image") != nil || m.project == nil {
		return
	}
	g := grammar()
	for _, name := range m.project.keys() {
		if g.get(name).in == "container" {
			errs.add(m.project.table[name].key, name, "it is of a container, and there is none: expected image beside it")
		}
	}
}

func (m *Merged) validateMounts(errs *Errors) {
	taken := map[string]Pos{m.workdir(): {File: "the project"}}
	for i, n := range elems(m.root, "mounts") {
		key, mount := indexed("mounts", i), m.Config.Mounts[i]
		if before, ok := taken[mount.Target]; ok {
			errs.add(n.table["target"].pos, key+".target", "%s is taken by %s: expected another directory", mount.Target, before.taker())
		}
		taken[mount.Target] = n.pos
		if never := n.at("mirror"); never != nil && mount.Mirror == "never" && len(mount.Exclude) > 0 {
			errs.add(never.pos, key+".mirror", "\"never\" is a bind of the directory as it is, which hides nothing: expected \"always\" or \"auto\" beside exclude")
		}
		if err := m.checkSource(mount); err != nil {
			errs.add(n.table["source"].pos, key+".source", "%v", err)
		}
	}
}

// validateOverlays refuses a command without its seed, and the other way round.
func (m *Merged) validateOverlays(errs *Errors) {
	for i, n := range elems(m.root, "overlay") {
		o, key := m.Config.Overlay[i], indexed("overlay", i)
		switch {
		case o.Seed == "command" && o.Command == "":
			errs.add(n.table["seed"].pos, key+".seed", "\"command\" needs command beside it")
		case o.Command != "" && o.Seed != "" && o.Seed != "command":
			errs.add(n.table["command"].pos, key+".command", "it is of seed = \"command\", and the seed is %q", o.Seed)
		}
	}
}

func (p Pos) taker() string {
	if p.Line == 0 {
		return p.File
	}
	return "the mount at " + p.String()
}

// checkSource looks at a mount's source on the disk.
func (m *Merged) checkSource(mount Mount) error {
	real, err := filepath.EvalSymlinks(mount.Source)
	if errors.Is(err, fs.ErrNotExist) {
		return &sourceError{mount.Source, "there is nothing there: expected a directory or file"}
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(real)
	switch {
	case err != nil:
		return err
	case !info.IsDir() && !info.Mode().IsRegular():
		return &sourceError{real, "neither a directory nor a file"}
	case !info.IsDir() && (len(mount.Exclude) > 0 || mount.Mirror == "always"):
		return &sourceError{real, "a file alone has no mirror: expected a directory, or neither exclude nor mirror = \"always\""}
	}
	return m.checkOverlap(real, mount, info.IsDir())
}

// checkOverlap refuses a mount that would show what the project's rules hide: they begin at the project's top, and hold
// for no other directory.
func (m *Merged) checkOverlap(real string, mount Mount, dir bool) error {
	_, inside := within(m.Project, real)
	_, around := within(real, m.Project)
	if own := m.overlapsOwn(real); own != "" {
		return &sourceError{real, "it holds, or lies in, alca-mount's own " + own + ": expected another directory"}
	}
	switch {
	case inside || around:
		return &sourceError{real, "it lies in the project or around it, and the project's rules would not hold there: expected a directory beside it"}
	case mount.Mirror != "never" || !dir:
		return nil
	case real == m.Project:
		return &sourceError{real, "this is the project, which has rules: expected mirror = \"always\" or \"auto\""}
	}
	rules, err := dotfiles.ReadRules(real, "")
	if err == nil && len(rules.Hidden)+len(rules.ReadOnly) > 0 {
		return &sourceError{real, "it has rule files, and mirror = \"never\" would show what they hide: expected mirror = \"always\" or \"auto\""}
	}
	return err
}

// overlapsOwn returns the directory of ours that a mount would show: kept versions of hidden files lie there, and what
// the user has allowed.
func (m *Merged) overlapsOwn(real string) string {
	for _, dir := range m.own {
		_, inside := within(dir, real)
		_, around := within(real, dir)
		if inside || around || dir == real {
			return dir
		}
	}
	return ""
}

type sourceError struct{ path, why string }

func (e *sourceError) Error() string { return e.path + ": " + e.why }

func (m *Merged) workdir() string {
	if m.Config.Workdir != "" {
		return m.Config.Workdir
	}
	return DefaultWorkdir
}

// addWorkdir makes the project the first mount, so that all mounts are treated alike.
func (m *Merged) addWorkdir() {
	mounts := []Mount{{Source: m.Project, Target: m.workdir(), Exclude: m.Config.WorkdirExclude, Mirror: "always"}}
	for _, mount := range m.Config.Mounts {
		mounts = append(mounts, m.settled(mount))
	}
	m.Config.Mounts = mounts
}

// settled is a mount with its defaults, and with the source that was looked at.
func (m *Merged) settled(mount Mount) Mount {
	mount.Source, mount.Mirror = real(mount.Source), cmp.Or(mount.Mirror, "auto")
	if mount.Source == m.Project { // it is not to be seen whole under another name
		mount.Exclude = slices.Concat(m.Config.Exclude, m.Config.WorkdirExclude, mount.Exclude)
	}
	return mount
}
