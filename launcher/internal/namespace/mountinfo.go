package namespace

import (
	"fmt"
	"strings"
)

// mount is a line of /proc/PID/mountinfo (proc_pid_mountinfo(5)).
type mount struct {
	dev    string // major:minor
	root   string // the path in its file system that is mounted
	point  string
	fstype string
	source string
	super  []string // options of the file system
}

func parseMounts(text string) ([]mount, error) {
	var mounts []mount
	for line := range strings.Lines(text) {
		m, err := parseMount(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, err
		}
		mounts = append(mounts, m)
	}
	return mounts, nil
}

func parseMount(line string) (mount, error) {
	head, tail, ok := strings.Cut(line, " - ")
	h, t := strings.Fields(head), strings.SplitN(tail, " ", 3)
	if !ok || len(h) < 6 || len(t) < 3 {
		return mount{}, fmt.Errorf("read mountinfo: %q is no mount", line)
	}
	return mount{
		dev: h[2], root: unescape(h[3]), point: unescape(h[4]),
		fstype: t[0], source: unescape(t[1]), super: strings.Split(t[2], ","),
	}, nil
}

// unescape undoes the octal escapes that keep fields and lines apart.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, ok := octal(s[i+1 : i+4]); ok {
				b.WriteByte(n)
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func octal(digits string) (byte, bool) {
	n := 0
	for _, d := range []byte(digits) {
		if d < '0' || d > '7' {
			return 0, false
		}
		n = n*8 + int(d-'0')
	}
	return byte(n), n < 256
}

// locate finds the mount that a path is seen through: the last of the longest mount points on its way.
func locate(mounts []mount, p string) (mount, bool) {
	best, found := mount{}, false
	for _, m := range mounts {
		if within(m.point, p) && (!found || len(m.point) >= len(best.point)) {
			best, found = m, true
		}
	}
	return best, found
}

// layers are the directories that a mount shows besides its own file system's: an overlay's, or what a FUSE file system
// says it is made of.
func (m mount) layers() []string {
	var dirs []string
	for _, option := range m.super {
		key, value, _ := strings.Cut(option, "=")
		value = unescape(value)
		switch {
		case m.fstype != "overlay" && m.fstype != "fuse.fuse-overlayfs":
		case key == "lowerdir":
			dirs = append(dirs, splitLayers(value)...)
		case key == "upperdir", key == "workdir", key == "lowerdir+", key == "datadir+":
			dirs = append(dirs, value)
		}
	}
	if strings.HasPrefix(m.fstype, "fuse") && strings.HasPrefix(m.source, "/") && !strings.HasPrefix(m.source, "/dev/") {
		dirs = append(dirs, m.source)
	}
	return dirs
}

// splitLayers splits at colons that no backslash protects.
func splitLayers(list string) []string {
	var out []string
	var b strings.Builder
	for i := 0; i < len(list); i++ {
		switch {
		case list[i] == '\\' && i+1 < len(list):
			i++
			b.WriteByte(list[i])
		case list[i] == ':':
			out = append(out, b.String())
			b.Reset()
		default:
			b.WriteByte(list[i])
		}
	}
	return append(out, b.String())
}
