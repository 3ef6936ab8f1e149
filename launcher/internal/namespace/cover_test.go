package namespace

import (
	"slices"
	"strings"
	"testing"
)

// mountsOf makes mounts of "DEV ROOT POINT [TYPE [SOURCE [SUPER]]]".
func mountsOf(t *testing.T, lines ...string) []mount {
	t.Helper()
	var text strings.Builder
	for _, line := range lines {
		f := strings.Fields(line)
		for len(f) < 6 {
			f = append(f, []string{"", "", "", "ext4", "none", "rw"}[len(f)])
		}
		text.WriteString("1 1 " + f[0] + " " + f[1] + " " + f[2] + " rw - " + f[3] + " " + f[4] + " " + f[5] + "\n")
	}
	mounts, err := parseMounts(text.String())
	if err != nil {
		t.Fatal(err)
	}
	return mounts
}

func TestCovers(t *testing.T) {
	const project, state = "/home/u/p", "/home/u/.state"
	for _, c := range []struct {
		name   string
		mounts []string
		want   []string
		fails  bool
	}{
		{"nothing but the root", []string{"8:1 / /"}, []string{state}, false},
		{"all of it bound", []string{"8:1 / /", "8:1 /home/u/p /mnt"}, []string{state, "/mnt"}, false},
		{"a directory above bound", []string{"8:1 / /", "8:1 /home /srv/h"}, []string{state, "/srv/h/u/.state", "/srv/h/u/p"}, false},
		{"a part bound", []string{"8:1 / /", "8:1 /home/u/p/sub /mnt"}, []string{state, "/mnt"}, false},
		{"a neighbour bound", []string{"8:1 / /", "8:1 /home/u/pp /mnt"}, []string{state}, false},
		{"another file system of the same paths", []string{"8:1 / /", "8:2 /home/u/p /mnt"}, []string{state}, false},
		{"a mount in the project", []string{"8:1 / /", "8:2 / /home/u/p/data", "8:2 / /data"}, []string{"/data", state}, false},
		{"proc in the project", []string{"8:1 / /", "0:5 / /proc proc", "0:5 / /home/u/p/root/proc proc"}, []string{state}, false},
		{"the root in the project", []string{"8:1 / /", "8:1 / /home/u/p/root"}, nil, true},
		{"home on a file system of its own", []string{"8:1 / /", "8:2 / /home", "8:2 / /mnt"}, []string{state, "/mnt/u/.state", "/mnt/u/p"}, false},
		{"an alias under another mount", []string{"8:1 / /", "8:1 / /mnt", "0:9 / /mnt/home tmpfs"}, []string{state}, false},
		{"an overlay above it", []string{"8:1 / /", "0:9 / /mnt overlay o rw,lowerdir=/home/u/p,upperdir=/up,workdir=/work"}, []string{state, "/mnt"}, false},
		{"an overlay of what is above it", []string{"8:1 / /", "0:9 / /mnt overlay o rw,lowerdir=/x:/home/u"}, []string{state, "/mnt/.state", "/mnt/p"}, false},
		{"an overlay of a part", []string{"8:1 / /", "0:9 / /mnt overlay o rw,lowerdir=/home/u/p/src"}, []string{state, "/mnt"}, false},
		{"on an overlay itself", []string{"8:1 / /", "0:9 / /home overlay o rw,lowerdir=/low,upperdir=/up"},
			[]string{state, "/low/u/.state", "/low/u/p", "/up/u/.state", "/up/u/p"}, false},
		{"fuse that says of what it is", []string{"8:1 / /", "0:9 / /mnt fuse.bindfs /home/u/p"}, []string{state, "/mnt"}, false},
		{"an escaped name", []string{"8:1 / /", `8:1 /home/u/p /with\040space`}, []string{state, "/with space"}, false},
	} {
		got, err := covers(mountsOf(t, c.mounts...), []secret{{path: project, keep: true}, {path: state}}, func(p string) string { return p })
		if (err != nil) != c.fails || !c.fails && !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}

func TestLayersAreSplitAtColonsThatNothingProtects(t *testing.T) {
	got := mountsOf(t, `0:9 / /m overlay o rw,lowerdir=/a\134:b:/c,upperdir=/d,lowerdir+=/e`)[0].layers()
	if want := []string{"/a:b", "/c", "/d", "/e"}; !slices.Equal(got, want) {
		t.Errorf("layers %q, want %q", got, want)
	}
}

func FuzzParseMounts(f *testing.F) {
	f.Add("36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n")
	f.Add(`1 1 0:9 / /a\040b rw - overlay o rw,lowerdir=/x\\:y` + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		mounts, err := parseMounts(text)
		if err != nil {
			return
		}
		for _, m := range mounts {
			m.layers()
		}
		_, _ = covers(mounts, []secret{{path: "/p", keep: true}, {path: "/s"}}, func(p string) string { return p })
	})
}
