package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Need is something in the project's layer that reaches beyond the project, or takes back a precaution of the user's.
// It takes effect only once the user has allowed it.
type Need struct {
	Key  string
	At   Pos
	Text string // what it does, for the user to judge
	// Host tells that it matters only where the command has something of the user's: on the machine itself, or in a
	// container that an agent's login is brought to.
	Host bool
}

// Launch is what the command is started in, and with what.
type Launch struct{ Container, Profile bool }

// Needs lists what the project's layer asks for, in the order of keys. It is empty for a project that only restricts.
func (m *Merged) Needs() []Need {
	var needs []Need
	add := func(key string, n *node, format string, args ...any) {
		needs = append(needs, Need{Key: key, At: n.key, Text: fmt.Sprintf(format, args...)})
	}
	for _, f := range m.Files {
		if f.Layer == Project && f.Rel == "" {
			needs = append(needs, Need{Key: "file", At: f.parent, Text: "takes settings from " + f.Path + ", outside of the project"})
		}
	}
	if m.project == nil {
		return needs
	}
	m.project.each("", func(key string, n *node) {
		for _, name := range n.vars {
			add(key, n, "reads the variable %s of your environment", name)
		}
	})
	m.needMounts(add)
	m.needHost(add)
	m.needLooser(add)
	for _, name := range m.project.at("env").names() {
		n := m.project.table["env"].table[name]
		key, value := dotted("env", name), n.value.(Env)
		if value.Pass {
			add(key, n, "passes your environment's %s on to the command", name)
			continue
		}
		add(key, n, "sets %s=%s for a command that runs on this machine", name, value.Value)
		needs[len(needs)-1].Host = true
	}
	slices.SortStableFunc(needs, func(a, b Need) int { return strings.Compare(a.Key, b.Key) })
	return needs
}

type addNeed func(key string, n *node, format string, args ...any)

func (n *node) names() []string {
	if n == nil {
		return nil
	}
	return n.keys()
}

func (m *Merged) needMounts(add addNeed) {
	for i, n := range elems(m.project, "mounts") {
		source := real(n.table["source"].value.(string))
		if source == m.Project {
			continue
		}
		how := "readable and writable"
		if ro := n.at("readonly"); ro != nil && ro.value == true {
			how = "readable"
		}
		add(indexed("mounts", i), n, "makes %s %s for the command, as %s", source, how, n.table["target"].value)
	}
}

// needHost lists what opens the machine to the command.
func (m *Merged) needHost(add addNeed) {
	for i, n := range elems(m.project, "allow_socket") {
		add(indexed("allow_socket", i), n, "lets the command talk to %s", n.value)
	}
	for i, n := range elems(m.project, "writable") {
		add(indexed("writable", i), n, "lets the command write to %s", n.value)
	}
	for i, n := range elems(m.project, "overlay") {
		if cmd := n.at("command"); cmd != nil {
			add(indexed("overlay", i)+".command", cmd, "runs a command to fill %v, before the one that you start: %v", n.table["path"].value, cmd.value)
		}
	}
	for i, n := range elems(m.project.at("caps"), "add") {
		add(indexed("caps.add", i), n, "gives the command the capability %s", n.value)
	}
	if n := m.project.at("user"); n != nil && isRoot(n.value.(string)) {
		add("user", n, "runs the command as %s in the container", n.value)
	}
	if n := m.project.at("image"); n != nil && (m.user.at("mounts") != nil || m.user.at("env") != nil) {
		add("image", n, "runs the command in %s, where it gets what your own configuration mounts and passes on", n.value)
	}
	if n := m.project.at("git_with_hidden_history"); n != nil && n.value == true {
		add("git_with_hidden_history", n, "shows the command a history that holds hidden files")
	}
	if n := m.project.at("isolation"); n != nil && n.value == "none" {
		add("isolation", n, "runs the command without isolation: it can read the rest of the machine")
	}
}

// ProfileNeeds lists what in the project's layer reaches the settings and the login of an agent, where they are brought
// to its container.
func (m *Merged) ProfileNeeds() []Need {
	var needs []Need
	if m.project == nil {
		return nil
	}
	add := func(key string, n *node, format string) {
		needs = append(needs, Need{Key: key, At: n.key, Text: fmt.Sprintf(format, n.value)})
	}
	if n := m.project.at("image"); n != nil {
		add("image", n, "brings your settings and login of the agent that you start to %v (--no-profile does not)")
	}
	for _, name := range []string{"up", "enter"} {
		if n := m.project.at("commands", name); n != nil {
			add("commands."+name, n, "runs a command beside your settings and login of the agent that you start (--no-profile does not): %v")
		}
	}
	return needs
}

// isRoot reports whether a container's user is root by name or number.
func isRoot(user string) bool {
	name, _, _ := strings.Cut(user, ":")
	id, err := strconv.Atoi(name)
	return name == "root" || err == nil && id == 0
}

// needLooser lists scalars with which the project takes back what the user's own file says.
func (m *Merged) needLooser(add addNeed) {
	for _, s := range looseToStrict() {
		keys := strings.Split(s.key, ".")
		own, theirs := m.user.at(keys...), m.project.at(keys...)
		if own == nil || theirs == nil {
			continue
		}
		if slices.Index(s.values, fmt.Sprint(theirs.value)) < slices.Index(s.values, fmt.Sprint(own.value)) {
			add(s.key, theirs, "says %v, where your own configuration says %v (%s)", theirs.value, own.value, own.key.short())
		}
	}
}

type strictness struct {
	key    string
	values []string // loosest first
}

func looseToStrict() []strictness {
	return []strictness{
		{"isolation", []string{"none", "auto", "namespace", "container"}},
		{"network", []string{"default", "none"}},
		{"confine_writes", []string{"false", "true"}},
		{"git", []string{"import", "copy", "none"}},
		{"no_default_excludes", []string{"true", "false"}},
		{"git_with_hidden_history", []string{"true", "false"}},
		{"symlinks", []string{"follow", "keep", "skip"}},
		{"population", []string{"walk", "auto", "git"}},
		{"sync.mode", []string{"off", "live", "exit", "review"}},
	}
}

// Matters reports whether a need matters to a command that is launched so.
func (n Need) Matters(l Launch) bool { return !n.Host || !l.Container || l.Profile }

// UserFile is where the user's configuration is: config.toml in dir/alca-mount, where dir is XDG_CONFIG_HOME or
// ~/.config.
func UserFile(home string, getenv func(string) (string, bool)) (string, error) {
	if xdg, _ := getenv("XDG_CONFIG_HOME"); xdg != "" {
		if !filepath.IsAbs(xdg) {
			return "", fmt.Errorf("XDG_CONFIG_HOME is %q: expected an absolute path", xdg)
		}
		return filepath.Join(xdg, "alca-mount", "config.toml"), nil
	}
	if !filepath.IsAbs(home) {
		return "", nil // no home, no configuration in it
	}
	return filepath.Join(home, ".config", "alca-mount", "config.toml"), nil
}
