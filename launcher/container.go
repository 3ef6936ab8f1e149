package launcher

// Container is a launch in a container: the mirror is bind-mounted at Workdir, and CMD runs there as the image's own
// command would under `docker run`. Only Image is needed.
type Container struct {
	Image   string
	Runtime ContainerRuntime // "": auto
	Workdir string           // absolute path in the container where the project's mirror is, and CMD starts; "": DefaultWorkdir

	// User is whom CMD runs as: a name of the image, or UID[:GID]. "": whoever owns the files outside, so that what is
	// made inside belongs to the user outside, and the user's files are writable inside.
	User    string
	Network string  // "": the engine's default; "none": none
	Memory  int64   // bytes; 0: no limit
	CPUs    float64 // 0: no limit
	CapAdd  []string
	CapDrop []string // "ALL" drops all; CapAdd is applied after it

	// Mounts are what the container sees besides the project. The project's own mirror is none of them: its excludes are
	// in Options.Policy.
	Mounts []Mount

	Up    string // shell command, run in the container once before CMD, in Workdir; its failure ends the launch
	Enter string // shell text in whose shell CMD is then executed, e.g. `. ./env.sh`
}

// DefaultWorkdir is where the project is in a container.
const DefaultWorkdir = "/workspace"

// ContainerRuntime is which engine is asked.
type ContainerRuntime string

// The runtimes. Auto takes the first that answers, Docker before Podman.
const (
	RuntimeAuto   ContainerRuntime = "auto"
	RuntimeDocker ContainerRuntime = "docker"
	RuntimePodman ContainerRuntime = "podman"
)

// Mount is a further directory, or a file, in the container.
type Mount struct {
	Source   string // absolute path outside, links resolved
	Target   string // absolute, clean path in the container; no other mount's, and not Workdir
	ReadOnly bool   // nothing is ever sent back, and writes fail inside

	// Exclude are patterns in gitignore syntax, relative to Source, of what does not exist inside. They need a mirror.
	Exclude []string
	Mirror  MirrorMode // "": auto
}

// MirrorMode is whether a mount is mirrored or bound as it is.
type MirrorMode string

// The mirror modes. Auto mirrors where rules or excludes apply or the platform needs it, and else binds plainly; Never is
// an error together with rules or excludes.
const (
	MirrorAuto   MirrorMode = "auto"
	MirrorAlways MirrorMode = "always"
	MirrorNever  MirrorMode = "never"
)
