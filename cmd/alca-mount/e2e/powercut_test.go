//go:build linux

package e2e

import (
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A power cut is a copy of the disk, at one moment, while a session is busy on it: project, mirror and state lie in an
// ext4 image, which lies on an xfs that copies a whole file at once. What the kernel had not written out by then is not in
// the copy. Mounting it replays its journal, as the next boot does.

// agentOnDisk writes in every way that there is: over a name, in place, anew.
const agentOnDisk = `
echo $$ > "$TOOLS/pid"
pad=$(head -c 3000 /dev/zero | tr '\0' x)
i=1
while test $i -le 2000; do
	f=f$((i % 12))
	printf '%s a%d %s\n' $f $i "$pad" > .scratch.tmp && mv .scratch.tmp $f
	g=g$((i % 6))
	printf '%s a%d %s\n' $g $i "$pad" > $g
	printf 'n%d a%d %s\n' $((i % 50)) $i "$pad" > n$((i % 50))
	test $((i % 5)) = 0 && rm -f d$i
	i=$((i + 1))
done
`

type powerCut struct {
	*world
	disk, image, copies string
	saved               map[string]int // the user's last version, by name, that is on the disk
}

// cut is a copy of the disk, and what was on it for certain.
type cut struct {
	image string
	saved map[string]int
}

// newPowerCut puts the world on a disk of its own.
func newPowerCut(t *testing.T) *powerCut {
	root(t)
	for _, tool := range []string{"mkfs.xfs", "mkfs.ext4"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s", tool)
		}
	}
	p := &powerCut{world: newWorld(t), saved: map[string]int{}}
	p.disk, p.copies = filepath.Join(p.dir, "disk"), filepath.Join(p.dir, "copies")
	must(t, os.Mkdir(p.copies, 0o755))
	must(t, os.Mkdir(p.disk, 0o755))
	outer := filepath.Join(p.dir, "outer")
	p.tool(nil, "truncate", "-s", "1G", outer)
	p.tool(nil, "mkfs.xfs", "-q", "-m", "reflink=1", outer)
	p.mount(outer, p.copies)
	p.image = filepath.Join(p.copies, "image")
	p.tool(nil, "truncate", "-s", "96M", p.image)
	p.tool(nil, "mkfs.ext4", "-q", p.image)
	p.mount(p.image, p.disk)
	p.project, p.state = filepath.Join(p.disk, "project"), filepath.Join(p.disk, "state")
	must(t, os.Mkdir(p.project, 0o755))
	must(t, os.Mkdir(p.state, 0o755))
	for i, v := range p.env {
		if strings.HasPrefix(v, "XDG_STATE_HOME=") {
			p.env[i] = "XDG_STATE_HOME=" + p.state
		}
	}
	return p
}

// mount mounts an image until the test's end, or until it is unmounted.
func (p *powerCut) mount(image, at string) {
	p.t.Helper()
	if out, err := exec.Command("mount", "-o", "loop", image, at).CombinedOutput(); err != nil {
		p.t.Skipf("mount: %v: %s", err, out) // no loop devices here
	}
	p.t.Cleanup(func() { unix.Unmount(at, unix.MNT_DETACH) })
}

func TestPowerCutAtAnyMomentLosesNothing(t *testing.T) {
	for _, mode := range []string{"live", "exit"} {
		t.Run(mode, func(t *testing.T) {
			p := newPowerCut(t)
			for i := range killFiles {
				for _, name := range []string{fmt.Sprint("f", i), fmt.Sprint("g", i), fmt.Sprint("d", 5*i)} {
					write(t, filepath.Join(p.project, name), versionText(name, "v", 0))
				}
			}
			unix.Sync()
			cuts := p.busySession(mode, count(3, 40))
			must(t, unix.Unmount(p.disk, 0))
			doubts := 0
			for i, c := range cuts {
				t.Run(fmt.Sprint(i), func(t *testing.T) {
					w := *p.world
					w.t = t
					after := &powerCut{world: &w, disk: p.disk, saved: c.saved}
					doubts += after.nextBoot(c.image)
				})
			}
			t.Logf("%d paths of %d mirrors were lost or are in doubt", doubts, len(cuts))
			if doubts == 0 {
				t.Error("no power cut took anything: this shows nothing")
			}
		})
	}
}

// busySession runs one while the user saves, copies the disk at random moments, and kills all in the end.
func (p *powerCut) busySession(mode string, n int) []cut {
	p.t.Helper()
	run := p.start("-q", "--isolation", "none", "--sync", mode, "--", "sh", "-c", agentOnDisk)
	p.until("CMD", func() bool { pid, err := os.ReadFile(filepath.Join(p.dir, "pid")); return err == nil && len(pid) > 0 })
	var cuts []cut
	for save := 1; len(cuts) < n && save < 100*n; save++ {
		p.save(fmt.Sprintf("f%d", save*5%killFiles), save)
		if rand.IntN(8) == 0 {
			cuts = append(cuts, p.powerOff(len(cuts)))
			if len(cuts) == 1 { // that one may meet a session that no disk has to know of; the others do not
				p.until("the session is settled", p.settled)
			}
		}
	}
	run.cmd.Process.Kill()
	<-run.done
	pid := number("p" + strings.TrimSpace(read(p.t, filepath.Join(p.dir, "pid"))))
	_ = syscall.Kill(pid, syscall.SIGKILL)
	p.until("the end of CMD", func() bool { return syscall.Kill(pid, 0) != nil })
	return cuts
}

func (p *powerCut) settled() bool {
	records, err := filepath.Glob(filepath.Join(p.state, "alca-mount/*/sessions/*/session.json"))
	return err == nil && len(records) == 1 && strings.Contains(read(p.t, records[0]), `"state": "ready"`)
}

// save is what a careful editor does: when it returns, the version is on the disk.
func (p *powerCut) save(name string, n int) {
	p.t.Helper()
	scratch := filepath.Join(p.disk, "user")
	write(p.t, scratch, versionText(name, "u", n))
	f, err := os.OpenFile(scratch, os.O_RDWR, 0)
	must(p.t, err)
	must(p.t, f.Sync())
	must(p.t, f.Close())
	must(p.t, os.Rename(scratch, filepath.Join(p.project, name)))
	dir, err := os.Open(p.project)
	must(p.t, err)
	must(p.t, dir.Sync())
	must(p.t, dir.Close())
	p.saved[name] = n
	time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond) // a rate
}

// powerOff copies the disk as it is at one moment.
func (p *powerCut) powerOff(n int) cut {
	p.t.Helper()
	c := cut{image: filepath.Join(p.copies, fmt.Sprint("cut", n)), saved: maps.Clone(p.saved)}
	p.tool(nil, "cp", "--reflink=always", p.image, c.image)
	return c
}

var bootField = regexp.MustCompile(`"boot": *"[^"]*"`)

// doubtful are the paths of this test in an answer of recover's.
var doubtful = regexp.MustCompile(`"[fgnd]\d+"`)

// nextBoot mounts a copy where the disk was, recovers, and checks. It returns how many paths were lost by the mirror or
// are in doubt.
func (p *powerCut) nextBoot(image string) int {
	p.t.Helper()
	p.mount(image, p.disk)
	defer unix.Unmount(p.disk, 0)
	records, err := filepath.Glob(filepath.Join(p.state, "alca-mount/*/sessions/*/session.json*"))
	must(p.t, err)
	for _, r := range records {
		write(p.t, r, bootField.ReplaceAllString(read(p.t, r), `"boot": "an earlier one"`))
	}
	before := p.versions()
	r := p.expect(0, "-C", p.project, "recover", "--all", "--apply", "--json")
	after := p.versions()
	for name, was := range before {
		if after[name] != was {
			p.t.Errorf("%s was %s in the project, and is %q after recover\n%v", name, was, after[name], r)
		}
	}
	for name, n := range p.saved {
		is := after[name]
		there := strings.HasPrefix(is, "u") && number(is) >= n
		if !there && len(p.keeping(name, n)) == 0 {
			p.t.Errorf("lost: the user's version %d of %s; there is %q", n, name, is)
		}
	}
	return len(doubtful.FindAllString(r.stdout, -1))
}

// versions are the versions in the project, by name; what is written by renames has to be whole.
func (p *powerCut) versions() map[string]string {
	p.t.Helper()
	there := map[string]string{}
	must(p.t, filepath.WalkDir(p.project, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text := read(p.t, path)
		m := version.FindStringSubmatch(text)
		switch whole := m != nil && len(m[4]) == killPad && m[1] == d.Name(); {
		case whole:
			there[d.Name()] = m[2] + m[3]
		case strings.ContainsAny(d.Name()[:1], "fd"):
			p.t.Errorf("torn or stray: %s", path)
		default: // the agent writes these bit by bit, and half of one may have come home
			there[d.Name()] = fmt.Sprintf("? %q", text)
		}
		return nil
	}))
	return there
}

// keeping are the kept files that hold the user's version n of a name, or a later one.
func (p *powerCut) keeping(name string, n int) []string {
	p.t.Helper()
	var found []string
	must(p.t, filepath.WalkDir(p.state, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		m := version.FindStringSubmatch(read(p.t, path))
		if m != nil && m[1] == name && m[2] == "u" && number("u"+m[3]) >= n {
			found = append(found, path)
		}
		return nil
	}))
	return found
}
