// Package config reads .alca.toml of a project and config.toml of its user, and refuses what it does not understand whole.
//
// [Load] returns what the files say together: lists unite, scalars of the project override the user's. What a project's
// file asks for beyond the project itself is listed by [Merged.Needs]; whether the user has allowed it is told by
// [Allowed]. A file is read once: what is decided on is what is used.
package config

import "time"

// ProjectFile is the name of a project's configuration, at its top.
const ProjectFile = ".alca.toml"

// Config is what the files say, merged. Its tags are the grammar of a file:
//
//	toml  the key
//	as    what a text is: path (host; relative to the file, ~ and ${VAR}), target (in the container), text (${VAR}),
//	      pattern (as in .gitignore), guard, agent, capability, script
//	enum  the texts that are allowed
//	one   a text alone stands for a list of one
//	need  the key must be there
//	in    "container": only a container can do it; "user": only the user's own file may say it
//	doc   what the JSON schema says of it
//
// The zero value of a field is "not said". Lists keep the order of the files: the user's first.
type Config struct {
	Extends  []string `toml:"extends" as:"path" one:"yes" doc:"Files that this one goes on from: what it says itself overrides them. Relative to this file."`
	Includes []string `toml:"includes" as:"path" one:"yes" doc:"Files that go on from this one: they override what it says. Relative to this file."`

	Agent            string   `toml:"agent" as:"agent" doc:"Whose .NAME.agentignore and .NAME.agentreadonly are added. Default: the base name of the command."`
	Exclude          []string `toml:"exclude" as:"pattern" doc:"What matches is left out of the mirror. Patterns as in .gitignore; they only ever hide more."`
	Readonly         []string `toml:"readonly" as:"pattern" doc:"What matches is write-protected. Patterns as in .gitignore; they only ever protect more."`
	NoDefaultExclude bool     `toml:"no_default_excludes" doc:"Drop the built-in list of what is left out (.git stays under git)."`
	Population       string   `toml:"population" enum:"walk git auto" doc:"All that the rules allow, git's tracked and unignored files, or git where possible. Default: walk."`
	Symlinks         string   `toml:"symlinks" enum:"keep follow skip" doc:"Keep links, copy the files they lead to, or leave links out. Default: keep."`
	Git              string   `toml:"git" enum:"none copy import" doc:"Leave .git out, copy it one-way, or bring the agent's commits home. Default: none."`
	GitDepth         int      `toml:"git_depth" doc:"Commits of history that git = \"copy\" takes."`
	GitHiddenHistory bool     `toml:"git_with_hidden_history" doc:"Let git = \"copy\" take a history that holds hidden files."`

	Isolation     string         `toml:"isolation" enum:"auto none namespace container" doc:"How the command is confined. Default: auto."`
	Hide          []string       `toml:"hide" as:"path" doc:"Paths of the machine that the command does not see (namespace)."`
	ConfineWrites bool           `toml:"confine_writes" doc:"The command writes in the mirror and temporary directories only (namespace)."`
	Writable      []string       `toml:"writable" as:"path" doc:"Further paths that confine_writes leaves writable, such as an agent's own directories."`
	AllowSocket   []string       `toml:"allow_socket" as:"path" doc:"Sockets that the command may reach (namespace)."`
	Network       string         `toml:"network" enum:"default none" doc:"The network of the command: as it comes, or none."`
	Env           map[string]Env `toml:"env" doc:"Environment of the command: NAME = \"value\" sets it, NAME = true passes yours on."`
	Grace         *time.Duration `toml:"grace" doc:"From TERM to KILL for a command that does not go. Default: 10s."`
	Keep          bool           `toml:"keep" doc:"Keep mirror and session at the end."`

	Image          string    `toml:"image" as:"text" doc:"The image of the container. Absent: no container."`
	Runtime        string    `toml:"runtime" enum:"auto docker podman" in:"container" doc:"The container engine. Default: auto."`
	Workdir        string    `toml:"workdir" as:"target" in:"container" doc:"Where the project is in the container. Default: /workspace."`
	WorkdirExclude []string  `toml:"workdir_exclude" as:"pattern" doc:"What is left out of the project's mirror, as exclude."`
	User           string    `toml:"user" as:"text" in:"container" doc:"Whom the command runs as: a name of the image, or UID[:GID]. Default: the owner of the files outside."`
	Resources      Resources `toml:"resources" in:"container" doc:"Limits of the container."`
	Caps           Caps      `toml:"caps" in:"container" doc:"Capabilities of the container."`
	Commands       Commands  `toml:"commands" in:"container" doc:"Shell commands that are run in the container."`
	Mounts         []Mount   `toml:"mounts" in:"container" doc:"Further directories, as tables or as \"SOURCE:TARGET[:ro]\"."`

	Overlay  []Overlay `toml:"overlay" doc:"Directories that are left out of the mirror, such as node_modules, and of which the command has a copy of its own. It is kept, and never crosses."`
	Overlays string    `toml:"overlays" enum:"auto none" doc:"auto: also those that package.json, pyproject.toml, Cargo.toml and the like stand for. Default: none."`

	Profile []Profile `toml:"profile" in:"user" doc:"What agents get of your home directory and environment in a container, besides what is known of them."`

	Sync  Sync  `toml:"sync" doc:"When and how changes cross."`
	Undo  Undo  `toml:"undo" doc:"How long and how much of what was overwritten and deleted is kept."`
	Guard Guard `toml:"guard" doc:"Files that tools of the machine execute by themselves: changes of them are held for your word."`
}

// Env is one variable of the command's environment: a value, or the user's own passed on.
type Env struct {
	Value string
	Pass  bool
}

// Resources are a container's limits.
type Resources struct {
	Memory Size    `toml:"memory" doc:"Memory, e.g. \"4g\"; k, m, g and t are powers of 1024."`
	CPUs   float64 `toml:"cpus" doc:"Processors, e.g. 2 or 1.5."`
}

// Caps are a container's capabilities, relative to the engine's default.
type Caps struct {
	Drop []string `toml:"drop" as:"capability" doc:"Taken away; ALL for all. Applied before add."`
	Add  []string `toml:"add" as:"capability" doc:"Given besides."`
}

// Commands are run by a shell in the container.
type Commands struct {
	Up    string `toml:"up" as:"script" doc:"Run once before the command; its failure ends the launch."`
	Enter string `toml:"enter" as:"script" doc:"Run in the shell that the command is then started from."`
}

// Mount is a further directory in the container. After loading, the project itself is the first.
type Mount struct {
	Source   string   `toml:"source" as:"path" need:"yes" doc:"A directory or file of the machine; relative to this file."`
	Target   string   `toml:"target" as:"target" need:"yes" doc:"Where it is in the container; absolute."`
	Readonly bool     `toml:"readonly" doc:"Nothing is sent back, and writes fail."`
	Exclude  []string `toml:"exclude" as:"pattern" doc:"What does not exist in the container. Patterns as in .gitignore."`
	Mirror   string   `toml:"mirror" enum:"always auto never" doc:"A mirror, a mirror where rules or excludes apply or the platform needs one, or a plain bind. Default: auto; for the project: always."`
}

// Overlay is a directory that the command has a copy of its own of.
type Overlay struct {
	Path    string   `toml:"path" as:"inside" need:"yes" doc:"The directory, relative to the project."`
	Seed    string   `toml:"seed" enum:"empty copy image command" doc:"What it begins with: nothing, a copy of the project's own, what the image has at the same path, or what a command makes. Default: copy; with command: command."`
	Command string   `toml:"command" as:"script" doc:"Shell command that fills it, run where the command runs, at the mirror's top."`
	Lock    []string `toml:"lock" as:"inside" doc:"Files that say what belongs in it; when they change, it is stale. Default: those that belong to a directory of its name."`
	Scope   string   `toml:"scope" enum:"project session" doc:"Kept for the project, or gone with the session. Default: project."`
	OnStale string   `toml:"on_stale" enum:"warn rerun fail" doc:"Tell and go on, seed it anew, or start nothing. Default: warn."`
}

// Profile adds to what an agent gets in a container.
type Profile struct {
	Name  string   `toml:"name" as:"agent" need:"yes" doc:"The agent: the base name of the command, or what --agent says."`
	Files []string `toml:"files" as:"inside" doc:"Files that are copied to the agent's home in the container, relative to your home directory."`
	Env   []string `toml:"env" doc:"Variables of your environment that are passed on where they are set."`
}

// Sync is when and how changes cross.
type Sync struct {
	Mode         string         `toml:"mode" enum:"live exit review off" doc:"Continuously, once at the end, when approved, or never."`
	ScanInterval *time.Duration `toml:"scan_interval" doc:"Compare both sides whole at that interval, however healthy the watcher; \"0s\": never. Default: by its cost."`
	Debounce     *time.Duration `toml:"debounce" doc:"Coalesce repeated events of one path. Default: 20ms."`
	Watcher      string         `toml:"watcher" enum:"auto inotify notify" doc:"How changes are noticed. Default: auto."`
}

// Undo bounds what is kept of ended sessions.
type Undo struct {
	MaxAge  *time.Duration `toml:"max_age" in:"user" doc:"Kept versions older than that may be pruned, e.g. \"30d\"."`
	MaxSize Size           `toml:"max_size" in:"user" doc:"Kept versions beyond that may be pruned, the oldest first, e.g. \"5g\"."`
}

// Guard adds to the files whose changes are held.
type Guard struct {
	Paths  []string `toml:"paths" as:"pattern" doc:"Further patterns, as in .gitignore; they only ever guard more."`
	Except []string `toml:"except" as:"pattern" in:"user" doc:"Patterns of the built-in list's files that are not guarded."`
}

// Size is a number of bytes. In a file it is a text with a unit, or a number of bytes.
type Size int64
