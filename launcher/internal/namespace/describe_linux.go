package namespace

import (
	"fmt"
	"os"
	"strconv"
)

// describe says what holds in the place that was built.
func (b *builder) describe() Facts {
	f := b.facts
	f.Enforced = []string{
		"project path: is the mirror",
		"hidden: under no mounted path",
		"read-only: by the kernel",
		"processes: own pid and ipc namespace, no capabilities, no new privileges",
		"devices: none that hold files",
		"control groups and settings of devices: not to be written",
		"sockets: /run/user/" + strconv.Itoa(os.Getuid()) + ", tmux, screen, X11 and container engines hidden",
	}
	if landlockABI() >= abiScopes {
		f.Enforced = append(f.Enforced, "signals and abstract sockets: own processes only")
	} else {
		f.Warnings = append(f.Warnings, "abstract sockets of programs outside can be reached: this kernel's Landlock is too old")
	}
	if b.NoNetwork {
		f.Enforced = append(f.Enforced, "network: none")
	}
	if b.ConfineWrites {
		f.Enforced = append(f.Enforced, "writes: project, temporary and agent directories only")
	}
	if len(b.Hide) > 0 {
		f.Enforced = append(f.Enforced, fmt.Sprintf("hidden on the host: %d as asked", len(b.Hide)))
	}
	return f
}
