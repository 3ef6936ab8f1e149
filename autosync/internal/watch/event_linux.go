package watch

import (
	"bytes"
	"encoding/binary"

	"github.com/alca-mount/alca-mount/safety"
	"golang.org/x/sys/unix"
)

// maskOf is what the directory p is watched for. IN_EXCL_UNLINK keeps out the writes to files without a name, of
// O_TMPFILE (shown as "#" and a number) and removed ones. IN_IGNORED comes unasked.
func maskOf(p safety.RelPath) uint32 {
	const mask = unix.IN_CLOSE_WRITE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_CREATE | unix.IN_DELETE |
		unix.IN_ATTRIB | unix.IN_MODIFY | unix.IN_ONLYDIR | unix.IN_EXCL_UNLINK
	if p == safety.Top {
		return mask | unix.IN_MOVE_SELF
	}
	return mask
}

// event is one record of inotify(7).
type event struct {
	wd   int32
	mask uint32
	link uint32 // the cookie that both events of one rename carry
	name string // byte for byte; "" when it is about the watched directory itself
}

// next takes the first record off buf. A cut-off record ends it.
func next(buf []byte) (e event, rest []byte, ok bool) {
	if len(buf) < unix.SizeofInotifyEvent {
		return event{}, nil, false
	}
	size := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(buf[12:]))
	if size > len(buf) {
		return event{}, nil, false
	}
	name, _, _ := bytes.Cut(buf[unix.SizeofInotifyEvent:size], []byte{0}) // padded with NULs
	e = event{
		wd:   int32(binary.NativeEndian.Uint32(buf)),
		mask: binary.NativeEndian.Uint32(buf[4:]),
		link: binary.NativeEndian.Uint32(buf[8:]),
		name: string(name),
	}
	return e, buf[size:], true
}

// meaningOf tells what an event means and how urgent its hint is.
func meaningOf(bits uint32, named bool) (meaning, Urgency) {
	has := func(want uint32) bool { return bits&want != 0 }
	switch {
	case has(unix.IN_Q_OVERFLOW):
		return overflow, Settled
	case has(unix.IN_IGNORED):
		return vanished, Settled
	case has(unix.IN_MOVE_SELF):
		return moved, Settled
	case !named && has(unix.IN_ATTRIB):
		return self, Probe
	case !named:
		return nothing, Busy // IN_UNMOUNT: IN_IGNORED follows
	case has(unix.IN_ISDIR):
		return meaningOfDir(bits)
	case has(unix.IN_CLOSE_WRITE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_DELETE):
		return changed, Settled
	case has(unix.IN_CREATE | unix.IN_ATTRIB):
		return changed, Probe
	}
	return changed, Busy
}

func meaningOfDir(bits uint32) (meaning, Urgency) {
	switch {
	case bits&(unix.IN_CREATE|unix.IN_MOVED_TO) != 0:
		return came, Settled
	case bits&(unix.IN_DELETE|unix.IN_MOVED_FROM) != 0:
		return left, Settled
	}
	return touched, Probe
}

// isUnnamed reports whether name has the form that the kernel gives to files without one. File systems differ in
// whether IN_EXCL_UNLINK keeps their events out.
func isUnnamed(name string) bool {
	if len(name) < 2 || name[0] != '#' {
		return false
	}
	for _, b := range []byte(name[1:]) {
		if b < '0' || b > '9' {
			return false
		}
	}
	return true
}
