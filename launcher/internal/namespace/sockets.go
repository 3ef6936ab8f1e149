package namespace

import (
	"path"
	"strconv"
	"strings"
)

// user is whom CMD runs as.
type user struct {
	uid  int
	home string
	env  map[string]string
}

// refuge is a place of sockets behind which programs outside do what they are told.
type refuge struct {
	path string
	made bool // made where it is missing, before a program outside makes it and listens there
	all  bool // path is a pattern of filepath.Glob's
}

// refuges are hidden by themselves: who reaches one of these sockets has a process outside do the reading.
func refuges(u user) []refuge {
	id := strconv.Itoa(u.uid)
	tmux, ok := u.env["TMUX_TMPDIR"]
	if !ok || !path.IsAbs(tmux) {
		tmux = "/tmp"
	}
	list := []refuge{
		{path: "/run/user/" + id},
		{path: path.Join(tmux, "tmux-"+id), made: true}, {path: "/tmp/tmux-" + id, made: true},
		{path: "/tmp/tmux-*", all: true}, // our user may have another number outside
		{path: "/run/screen"}, {path: "/var/run/screen"}, {path: "/tmp/screens"}, {path: "/tmp/uscreens"},
		{path: "/tmp/zellij-*", all: true},
		{path: "/tmp/.X11-unix"},
		{path: "/run/docker.sock"}, {path: "/run/docker"}, {path: "/run/podman"}, {path: "/run/containerd"}, {path: "/run/crio"},
		{path: "/run/snapd.socket"}, {path: "/run/libvirt"}, {path: "/run/incus"},
		{path: "/var/lib/lxd/unix.socket"}, {path: "/var/lib/incus/unix.socket"}, {path: "/var/snap/lxd/common/lxd/unix.socket"},
		{path: "/run/systemd/private"},
	}
	for _, v := range []string{"XDG_RUNTIME_DIR", "SCREENDIR"} {
		if dir := u.env[v]; path.IsAbs(dir) {
			list = append(list, refuge{path: dir})
		}
	}
	if tmux, _, _ := strings.Cut(u.env["TMUX"], ","); path.IsAbs(tmux) {
		list = append(list, refuge{path: tmux})
	}
	if docker, ok := strings.CutPrefix(u.env["DOCKER_HOST"], "unix://"); ok && path.IsAbs(docker) {
		list = append(list, refuge{path: docker})
	}
	if path.IsAbs(u.home) {
		list = append(list, refuge{path: path.Join(u.home, ".screen")}, refuge{path: path.Join(u.home, ".docker/run")},
			refuge{path: path.Join(u.home, ".docker/desktop")}, refuge{path: path.Join(u.home, ".colima")}, refuge{path: path.Join(u.home, ".rd")})
	}
	if u.uid == 0 { // root's word on the system bus starts services
		list = append(list, refuge{path: "/run/dbus/system_bus_socket"}, refuge{path: "/run/systemd"},
			refuge{path: "/run/udev/control"}, refuge{path: "/run/initctl"})
	}
	return list
}
