package namespace

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// What is covered is covered by a mount on a directory entry. Programs outside make new entries: a socket's directory that
// was not there, another directory at the project's path. The guard watches for those, and covers them too.
// RACE: between an entry and its cover lie some milliseconds. Nothing closes that; what is there at the start has none.

// guard covers again, for as long as the namespace lasts.
type guard struct {
	b       *builder
	covered map[string]identity // what stood at a path when it was last covered, cover and all
	fd      int
	dirs    map[int]string // by watch
	wanted  []string       // paths and patterns, there or not
}

// identity tells entries apart.
type identity struct {
	dev, ino uint64
}

func identify(p string) (identity, bool) {
	var st unix.Stat_t
	if unix.Lstat(p, &st) != nil {
		return identity{}, false
	}
	return identity{uint64(st.Dev), st.Ino}, true
}

// guard begins to watch. Where that can't be had, a warning says so.
func (b *builder) guard() error {
	g := &guard{b: b, covered: map[string]identity{}, dirs: map[int]string{}}
	for _, p := range g.spots() {
		if id, there := identify(p); there {
			g.covered[p] = id
		}
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		b.facts.Warnings = append(b.facts.Warnings, fmt.Sprintf("sockets of programs that start later are not hidden (watch for them: %v)", err))
		return nil
	}
	g.fd = fd
	g.watch()
	if err := g.look(); err != nil { // what came between covering and watching
		return err
	}
	go g.keep(os.NewFile(uintptr(fd), "inotify"))
	return nil
}

// keep covers what comes, until the end of the process. A cover that can't be made ends it, and all in here with it.
func (g *guard) keep(notify *os.File) {
	events := make([]byte, 64<<10)
	for {
		n, err := notify.Read(events)
		if err != nil {
			os.Exit(125)
		}
		if !g.concerns(events[:n]) {
			continue
		}
		g.watch()
		if g.look() != nil {
			os.Exit(125)
		}
	}
}

// spots are the paths that are to stay covered: the project by the mirror, the others by nothing. Each is where it really is.
func (g *guard) spots() []string {
	list := append([]string{g.b.Project}, g.empty()...)
	last := ""
	for _, p := range places(refuges(g.b.user)) {
		if g.b.lets(p) || last != "" && within(last, p) { // below a cover is CMD's own
			continue
		}
		list, last = append(list, p), p
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// empty are the spots where CMD is to have nothing, not even a place of its own.
func (g *guard) empty() []string { return append(stagingPlaces(g.b.Project), g.b.secrets...) }

// look covers each spot where something new stands.
func (g *guard) look() error {
	for _, p := range g.spots() {
		id, there := identify(p)
		if !there || g.covered[p] == id {
			continue
		}
		if err := g.cover(p); err != nil {
			if _, there := identify(p); !there {
				continue // it went again
			}
			return err
		}
		g.covered[p], _ = identify(p)
	}
	return nil
}

func (g *guard) cover(p string) error {
	if slices.Contains(g.empty(), p) {
		return cover(p)
	}
	if p != g.b.Project {
		return g.b.hideSocket(p)
	}
	if unix.Mount(procPath(g.b.built.project), p, "", unix.MS_BIND|unix.MS_REC, "") == nil {
		return nil
	}
	return cover(p) // the mirror's mount went with the directory that it was on
}

// watch watches every directory on the way to what is, or may come to be, at a spot.
func (g *guard) watch() {
	g.wanted = g.spots()
	for _, r := range refuges(g.b.user) {
		g.wanted = append(g.wanted, path.Clean(r.path))
	}
	seen := map[string]bool{}
	for _, p := range g.wanted {
		for dir := path.Dir(p); !seen[dir]; dir = path.Dir(dir) {
			seen[dir] = true
			w, err := unix.InotifyAddWatch(g.fd, dir, unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_ONLYDIR)
			if err == nil {
				g.dirs[w] = dir
			}
		}
	}
}

// concerns reports whether an event is about a name on the way to a spot.
func (g *guard) concerns(events []byte) bool {
	for len(events) >= unix.SizeofInotifyEvent {
		watch := int(int32(binary.NativeEndian.Uint32(events)))
		mask, size := binary.NativeEndian.Uint32(events[4:]), int(binary.NativeEndian.Uint32(events[12:]))
		name, _, _ := bytes.Cut(events[unix.SizeofInotifyEvent:unix.SizeofInotifyEvent+size], []byte{0})
		events = events[unix.SizeofInotifyEvent+size:]
		if mask&unix.IN_Q_OVERFLOW != 0 {
			return true
		}
		came := path.Join(g.dirs[watch], string(name))
		for _, p := range g.wanted {
			if matched, _ := path.Match(p, came); matched || within(came, p) {
				return true
			}
		}
	}
	return false
}

// stagingPlaces is where the sync may stage versions outside the session's folder: see safety.OpenStore.
func stagingPlaces(project string) []string {
	var list []string
	for dir := path.Dir(project); ; dir = path.Dir(dir) {
		list = append(list, path.Join(dir, ".alca-mount-"+strconv.Itoa(os.Getuid())))
		if dir == "/" {
			return list
		}
	}
}
