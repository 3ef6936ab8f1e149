package mirror

import (
	"fmt"
	"path"
	"strings"

	"github.com/alca-mount/alca-mount/dotfiles"
	"github.com/alca-mount/alca-mount/safety"
)

// maxLinks is how many links are followed to resolve one path; Linux stops there too (path_resolution(7)).
const maxLinks = 40

// LinkFor returns the target that the link at linkPath of the project has in the mirror. It looks at the text alone:
// a target that leaves the tree is not ok, and why says so; an absolute one into the project, whose real path is
// project, is made relative. Looking through it, a project link and its mirror copy have the same target.
// It is idempotent: a target that it returned is returned unchanged.
func LinkFor(project string, linkPath safety.RelPath, target string) (mirrorTarget string, ok bool, why string) {
	if target == "" {
		return "", false, "the link has no target"
	}
	dir := string(linkPath.Dir())
	if !path.IsAbs(target) {
		if leaves(path.Join(dir, target)) {
			return "", false, "leads outside the project"
		}
		return target, true, ""
	}
	inside, in := below(project, path.Clean(target))
	if !in {
		return "", false, "leads outside the project"
	}
	return relative(dir, inside), true, ""
}

func leaves(clean string) bool { return clean == ".." || strings.HasPrefix(clean, "../") }

// below returns clean relative to the absolute directory root.
func below(root, clean string) (string, bool) {
	if clean == root {
		return ".", true
	}
	return strings.CutPrefix(clean, strings.TrimSuffix(root, "/")+"/")
}

// relative returns the path that leads from the directory dir to target, both clean and relative to the same top.
func relative(dir, target string) string {
	from, to := elements(dir), elements(target)
	for len(from) > 0 && len(to) > 0 && from[0] == to[0] {
		from, to = from[1:], to[1:]
	}
	up := strings.Repeat("../", len(from)) + strings.Join(to, "/")
	if up == "" {
		return "."
	}
	return strings.TrimSuffix(up, "/")
}

func elements(clean string) []string {
	if clean == "." {
		return nil
	}
	return strings.Split(clean, "/")
}

// LinkAction is what becomes of a symbolic link. The zero value leaves it out.
type LinkAction uint8

// The actions.
const (
	LeaveOut LinkAction = iota
	KeepLink
	CopyTarget
)

func (a LinkAction) String() string { return [...]string{"leave out", "keep", "copy target"}[a] }

// LinkVerdict is what becomes of a link and why.
type LinkVerdict struct {
	Action LinkAction
	Target string         // KeepLink: what the mirror's link holds
	File   safety.RelPath // CopyTarget: the regular file that it leads to
	Why    string         // LeaveOut: the reason
}

// LinkView is a tree in which links are looked up; [*safety.Root] is one.
type LinkView interface {
	Lstat(safety.RelPath) (safety.Info, error)
	Readlink(safety.RelPath) (string, error)
}

// accesser is the part of [*dotfiles.Policy] that links are decided on.
type accesser interface {
	Access(rel string, isDir bool) dotfiles.Access
}

// DecideLink decides what becomes of the link at link, whose target is as readlink gives it, under mode.
// project is the real path that absolute targets are understood below; tree is the side on which the link is.
// A link is kept when its target is inside by its text and also by walking it through the links on its way, and when
// nothing on its way is hidden. A target that is excluded, or absent, is no reason: the link dangles in the mirror
// until it is there.
func DecideLink(tree LinkView, policy accesser, mode Links, project string, link safety.RelPath, target string) LinkVerdict {
	if mode == SkipLinks {
		return LinkVerdict{Why: "links are left out"}
	}
	inMirror, ok, why := LinkFor(project, link, target)
	if !ok {
		return LinkVerdict{Why: why}
	}
	end, why := resolve(tree, policy, project, link, target)
	switch {
	case why != "":
		return LinkVerdict{Why: why}
	case mode == KeepLinks:
		return LinkVerdict{Action: KeepLink, Target: inMirror}
	case end.kind == safety.File && end.access.Mirrored():
		return LinkVerdict{Action: CopyTarget, File: end.path}
	}
	return LinkVerdict{Why: "does not lead to a regular file of the mirror"}
}

// linkEnd is where a link leads; the zero value is a link that dangles.
type linkEnd struct {
	path   safety.RelPath
	kind   safety.Kind
	access dotfiles.Access
}

// resolve walks the link as the kernel would, below the top of tree. why is set when it must not be kept.
//
// RACE: the tree may change while it is walked. That can make a link dangle in the mirror but never lead out of it:
// each link on the way was decided on like this one, and hidden entries are not there.
func resolve(tree LinkView, policy accesser, project string, link safety.RelPath, target string) (end linkEnd, why string) {
	at := link.Dir()
	todo := strings.Split(target, "/")
	if path.IsAbs(target) {
		at, todo = safety.Top, restOf(project, target)
	}
	for hops := 0; len(todo) > 0; {
		name := todo[0]
		todo = todo[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			if at == safety.Top {
				return linkEnd{}, "leads outside the project through another link"
			}
			at = at.Dir()
			continue
		}
		at = at.Join(name)
		info, err := tree.Lstat(at)
		if err != nil {
			return linkEnd{}, fmt.Sprintf("cannot look at %s", at)
		}
		end = linkEnd{path: at, kind: info.Kind, access: accessOf(policy, at, info.Kind)}
		switch {
		case end.access == dotfiles.Hidden:
			return linkEnd{}, "leads to a hidden path"
		case end.access == dotfiles.Excluded, info.Kind == safety.Absent:
			return linkEnd{}, hiddenBeyond(policy, at, todo)
		case info.Kind != safety.Symlink:
			continue
		}
		if hops++; hops > maxLinks {
			return linkEnd{}, "" // the kernel gives up here too: it leads nowhere
		}
		next, err := tree.Readlink(at)
		if err != nil {
			return linkEnd{}, fmt.Sprintf("cannot look at %s", at)
		}
		if at, todo, why = step(project, at, next, todo); why != "" {
			return linkEnd{}, why
		}
	}
	return end, ""
}

// step goes on at the target of a link on the way.
func step(project string, link safety.RelPath, target string, todo []string) (safety.RelPath, []string, string) {
	if !path.IsAbs(target) {
		return link.Dir(), append(strings.Split(target, "/"), todo...), ""
	}
	if _, in := below(project, path.Clean(target)); !in {
		return "", nil, "leads outside the project through another link"
	}
	return safety.Top, append(restOf(project, target), todo...), ""
}

// restOf returns the elements of the absolute target below project, ".." kept.
func restOf(project, target string) []string {
	if rest, ok := strings.CutPrefix(target, project); ok && (rest == "" || rest[0] == '/') {
		return strings.Split(rest, "/")
	}
	rest, _ := below(project, path.Clean(target))
	return strings.Split(rest, "/")
}

// hiddenBeyond tells whether the part of a path that is not there, or is not looked into, is hidden by its name.
func hiddenBeyond(policy accesser, at safety.RelPath, todo []string) string {
	full := path.Join(string(at), path.Join(todo...))
	if leaves(full) {
		return "leads outside the project"
	}
	for _, isDir := range []bool{false, true} {
		if full != "." && policy.Access(full, isDir) == dotfiles.Hidden {
			return "leads to a hidden path"
		}
	}
	return ""
}

// accessOf is the stricter answer where it is not known whether p is a directory.
func accessOf(policy accesser, p safety.RelPath, kind safety.Kind) dotfiles.Access {
	access := policy.Access(string(p), kind == safety.Directory)
	if kind == safety.Absent {
		return min(access, policy.Access(string(p), true))
	}
	return access
}
