// Package doctor says what on this machine and in this project limits alca-mount, and what to do about it.
// It decides on facts alone: whoever gathers them looks, it does not.
package doctor

import (
	"fmt"
	"strings"
)

// Level is how much a finding matters.
type Level string

// The levels. Only what limits makes the answer a bad one; a note is something to know.
const (
	OK     Level = "ok"
	Note   Level = "note"
	Limits Level = "limits"
)

// Finding is what was found of one thing.
type Finding struct {
	Check string `json:"check"`
	Level Level  `json:"level"`
	Text  string `json:"text"`
	Fix   string `json:"fix,omitempty"`
}

// Facts are what there is to decide on.
type Facts struct {
	Linux     bool
	Namespace Namespace
	Landlock  Landlock
	Engines   []Engine
	Image     string // the configured one: launches are in containers
	Watches   Watches
	Reflink   Reflink
	Rules     Rules
	Sessions  []Session
}

// Namespace is how a launch in one went.
type Namespace struct {
	Why, Fix string // why it did not work, and how to allow it; Why "": it did
}

// Landlock is the kernel's version of it (0: none) and the versions that things came with.
type Landlock struct {
	ABI, Writes, Scopes int
}

// Engine is a container engine; Why is what is in the way of using it.
type Engine struct {
	Runtime, Kind, Version, Why string
}

// Watches are directories that can be watched for changes, by all programs of this user together. Limit 0: unknown.
type Watches struct {
	Limit, Used, Need        int
	Instances, InstancesUsed int // programs that watch; Instances 0: unknown
}

// Reflink is whether a file of the project could share its blocks with a copy in the state directory.
type Reflink struct {
	Tried, Shared bool
	State         string // the state directory
}

// Rules are what the project's rule files are like.
type Rules struct {
	Any       bool
	Err       string
	Warnings  []string
	Foreign   []string // ignore files of other tools
	Different []Difference
}

// Difference is a pattern that other tools' matchers read otherwise than git does.
type Difference struct {
	Where, Pattern, Path string
	Matches              bool // git says so
}

// Session is one that is not over.
type Session struct {
	ID, State string
}

// Examine decides, in the order that the answer is shown in.
func Examine(f Facts) []Finding {
	out := []Finding{namespaces(f), landlock(f)}
	out = append(out, engines(f)...)
	out = append(out, watches(f.Watches), reflink(f.Reflink))
	out = append(out, rules(f.Rules)...)
	return append(out, sessions(f.Sessions))
}

// Bad reports whether something limits.
func Bad(list []Finding) bool {
	for _, f := range list {
		if f.Level == Limits {
			return true
		}
	}
	return false
}

func namespaces(f Facts) Finding {
	out := Finding{Check: "namespaces", Level: Limits, Text: f.Namespace.Why, Fix: f.Namespace.Fix}
	switch {
	case !f.Linux:
		return Finding{"namespaces", Note, "they are Linux's: without a container, launches are plain ones", "--image IMG, with Docker or Podman"}
	case f.Namespace.Why == "":
		return Finding{"namespaces", OK, "a command ran in one, at the project's path", ""}
	case out.Fix == "":
		out.Fix = "until then: --image IMG, or --isolation none, where CMD reaches the rest of the machine"
	}
	return out
}

func landlock(f Facts) Finding {
	l := f.Landlock
	switch {
	case !f.Linux:
		return Finding{"landlock", Note, "it is Linux's", ""}
	case l.ABI == 0:
		return Finding{"landlock", Limits, "this kernel has none, or it is off: no --confine-writes, and abstract sockets can be reached", "a kernel from 6.2 on, with landlock in the lsm= of its command line"}
	case l.ABI < l.Writes:
		return Finding{"landlock", Limits, fmt.Sprintf("version %d: no --confine-writes, and abstract sockets can be reached", l.ABI), "a kernel from 6.2 on (6.12 for the sockets)"}
	case l.ABI < l.Scopes:
		return Finding{"landlock", Note, fmt.Sprintf("version %d: --confine-writes works; abstract sockets and signals of programs outside can be reached", l.ABI), "a kernel from 6.12 on"}
	}
	return Finding{"landlock", OK, fmt.Sprintf("version %d", l.ABI), ""}
}

// engines limit where the project is launched in containers; else one more of them is a possibility, no need.
func engines(f Facts) []Finding {
	var out []Finding
	var why []string
	for _, e := range f.Engines {
		if e.Why == "" {
			out = append(out, Finding{"containers", OK, fmt.Sprintf("%s: %s %s", e.Runtime, e.Kind, e.Version), ""})
		} else {
			why = append(why, e.Why)
		}
	}
	if len(out) > 0 {
		return out
	}
	level, text := Note, "no engine, so no --image"
	if f.Image != "" {
		level, text = Limits, fmt.Sprintf("no engine, and the configuration names the image %s", f.Image)
	}
	return []Finding{{"containers", level, text + ": " + strings.Join(why, "; "), "install or start Docker or Podman"}}
}

// watches compares the limits with what one live session of this project takes, beside what is in use.
func watches(w Watches) Finding {
	switch {
	case w.Limit == 0:
		return Finding{"watches", OK, "no limit is known here", ""}
	case w.Used+w.Need > w.Limit:
		return Finding{"watches", Limits,
			fmt.Sprintf("a session of this project watches %d directories, other programs of yours %d, and %d are allowed: the rest is found by comparing, late", w.Need, w.Used, w.Limit),
			fmt.Sprintf("sysctl -w fs.inotify.max_user_watches=%d", enough(w.Used+w.Need))}
	case w.Instances > 0 && w.InstancesUsed+watchersOfASession > w.Instances:
		return Finding{"watches", Limits,
			fmt.Sprintf("a session takes %d inotify instances, other programs of yours %d, and %d are allowed: changes are found by comparing, late", watchersOfASession, w.InstancesUsed, w.Instances),
			fmt.Sprintf("sysctl -w fs.inotify.max_user_instances=%d", max(256, 2*w.InstancesUsed))}
	}
	return Finding{"watches", OK, fmt.Sprintf("%d needed by a session of this project, %d in use, %d allowed", w.Need, w.Used, w.Limit), ""}
}

// watchersOfASession watch the project and the mirror.
const watchersOfASession = 2

// enough is the power of two that leaves as much free as is needed.
func enough(n int) int {
	most := 8192
	for most < 2*n {
		most *= 2
	}
	return most
}

func reflink(r Reflink) Finding {
	switch {
	case !r.Tried:
		return Finding{"copying", OK, "not tried: the project has no mirrored file of 4 kB or more to try it with", ""}
	case r.Shared:
		return Finding{"copying", OK, "project and state directory share blocks: mirrors cost next to no time and space", ""}
	}
	return Finding{"copying", Note, "mirrors are whole copies: project and state directory are on different file systems, or theirs cannot share blocks",
		"btrfs, XFS with reflinks or ZFS 2.2 for both, and the state directory on the project's file system: now it is " + r.State + ", XDG_STATE_HOME moves it"}
}

func rules(r Rules) []Finding {
	if r.Err != "" {
		return []Finding{{"rules", Limits, r.Err, "mend it: nothing can be launched before"}}
	}
	var out []Finding
	if !r.Any {
		out = append(out, Finding{"rules", Note, "no rule files: an agent sees all but the built-in list", "alca-mount init"})
	}
	for _, w := range r.Warnings {
		out = append(out, Finding{"rules", Limits, w, "correct or remove the line: it protects nothing"})
	}
	for _, d := range r.Different {
		out = append(out, Finding{"rules", Note, differenceText(d), "write it so that it is plain, if the file is shared with such a tool"})
	}
	if len(r.Foreign) > 0 {
		foreign := Finding{"rules", Note, "of other tools, and not obeyed: " + strings.Join(r.Foreign, ", "), "copy the lines that matter to .agentignore"}
		if !r.Any {
			foreign.Level, foreign.Fix = Limits, "alca-mount init takes their lines over"
		}
		out = append(out, foreign)
	}
	if len(out) == 0 {
		out = append(out, Finding{"rules", OK, "all lines are patterns that git and others read alike", ""})
	}
	return out
}

func differenceText(d Difference) string {
	here, there := "does not match", "matches"
	if d.Matches {
		here, there = there, here
	}
	return fmt.Sprintf("%s: %s %s %s, as git has it; in other tools' reading it %s", d.Where, d.Pattern, here, d.Path, there)
}

// sessions that ended badly hold work that nobody has looked at; kept ones were kept on purpose.
func sessions(list []Session) Finding {
	var bad, kept []string
	for _, s := range list {
		if s.State == "kept" {
			kept = append(kept, s.ID)
		} else if s.State != "running" {
			bad = append(bad, s.ID+" ("+s.State+")")
		}
	}
	switch {
	case len(bad) > 0:
		return Finding{"sessions", Limits, "not ended: " + strings.Join(bad, ", "), "alca-mount recover tells what they hold, recover --apply or --discard ends them"}
	case len(kept) > 0:
		return Finding{"sessions", Note, "kept: " + strings.Join(kept, ", "), "alca-mount status tells what they hold, alca-mount rm removes one"}
	}
	return Finding{"sessions", OK, "none left over", ""}
}
