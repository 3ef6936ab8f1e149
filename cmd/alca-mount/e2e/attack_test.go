//go:build linux

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// secret is what no mirror may hold.
const secret = "SECRET-7f3a9c"

// victim is a project with a secret in hidden files, read-only files, links and directories of all kinds.
func victim() []string {
	return []string{
		".agentignore=.env\nsecrets/", ".sh.agentignore=*.key", ".agentreadonly=locked.txt\nro/",
		".env=" + secret, "secrets/db.txt=" + secret, "deep/server.key=" + secret, "mixed/server.key=" + secret,
		"mixed/visible.txt=mixed visible", "mixed/locked.txt=mixed locked", "locked.txt=top locked",
		"ro/a.txt=ro a", "ro/sub/b.txt=ro b", "src/main.go=src main", "src/util.go=src util", "src/sub/x.go=src x",
		"docs/readme.md=docs", "bin/tool.sh!755=#!/bin/sh", "empty/", "link -> src/main.go", "dlink -> src",
	}
}

// versions are the user's contents in a victim that an attack might destroy.
func versions() []string {
	return []string{"mixed visible", "mixed locked", "top locked", "ro a", "ro b", "src main", "src util", "src x", "docs"}
}

// An attack is a script that CMD runs in the mirror.
type attack struct {
	name   string
	script string
	want   string // a script that makes, in a copy of the project, what has to come out; "" where only the invariants count
	same   bool   // the project has to come out as it was
	root   bool
	halts  bool // the mirror is no mirror any more: syncing halts and all is kept
	closed bool // to an ordinary user the mirror is closed in parts: these may stay there, and be said to
}

func attacks() []attack {
	return []attack{
		{name: "directory replaced by a link outside", script: `rm -rf src; ln -s "$OUTSIDE/dir" src`},
		{name: "directory replaced by a link outside, others edited", script: `rm -rf src docs; ln -s "$OUTSIDE/dir" src; ln -s ../outside/dir docs; echo more >> mixed/visible.txt`},
		{name: "directory replaced by a link that climbs", script: `rm -rf src; ln -s ../../../../../../../../../.."$OUTSIDE/dir" src`},
		{name: "empty directory replaced by a link outside", script: `rmdir empty; ln -s "$OUTSIDE/empty" empty`},
		{name: "nested directory replaced by a link outside", script: `rm -rf src/sub; ln -s "$OUTSIDE/dir/sub" src/sub; echo more >> src/main.go`},
		{name: "directory replaced by a link to the project", script: `rm -rf src; ln -s "$ALCA_MOUNT_PROJECT/secrets" src`},
		{name: "directory replaced by a link to hidden", script: `rm -rf docs; ln -s secrets docs`},
		{name: "link chain outside", script: `ln -s "$OUTSIDE/dir" hop; ln -s hop/victim.txt hop2; rm link; ln -s hop2 link`, same: true},
		{name: "link through a directory link", script: `ln -s dlink/../../outside/target.txt sly`, same: true},
		{name: "file replaced by a link outside", script: `rm src/util.go; ln -s "$OUTSIDE/target.txt" src/util.go`},
		{name: "link pointed outside", script: `ln -sfn "$OUTSIDE/target.txt" link; ln -sfn "$OUTSIDE/dir" dlink`, same: true},
		{name: "link pointed at hidden", script: `ln -sfn .env link; ln -sfn secrets dlink`, same: true},
		{name: "link to itself", script: `ln -s loop loop; ln -s . src/here`},
		{name: "hard link to outside", script: `ln -f "$OUTSIDE/target.txt" src/util.go`},
		{name: "hard link to a read-only file, written", script: `ln locked.txt alias; chmod u+w alias; echo pwn >> alias; rm alias`, same: true},
		{name: "hard links among files", script: `ln src/main.go src/again.go; echo more >> src/again.go`,
			want: `echo more >> src/main.go; cp -p src/main.go src/again.go`},
		{name: "fifo in place of a file", script: `rm src/util.go; mkfifo src/util.go`},
		{name: "fifos everywhere", script: `for f in locked.txt ro/a.txt .agentreadonly .env secrets _MOUNT_README.md; do rm -rf "$f"; mkfifo "$f"; done; mkfifo new ro/new`, same: true},
		{name: "fifo in place of the marker", script: `rm -f .alca-mount; mkfifo .alca-mount; echo more >> src/main.go`, same: true, halts: true},
		{name: "socket in place of a file", script: `rm src/util.go; cd src && python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("util.go")' || mkfifo util.go`},
		{name: "device in place of a file", script: `rm src/util.go; mknod src/util.go c 1 5; mknod new b 7 0`, root: true},
		{name: "file in place of a directory", script: `rm -rf src; echo file > src`, want: `rm -rf src; echo file > src`},
		{name: "directory in place of a file", script: `rm src/util.go; mkdir src/util.go; echo in > src/util.go/in`,
			want: `rm src/util.go; mkdir src/util.go; echo in > src/util.go/in`},
		{name: "link to hidden, written through", script: `ln -s .env leak; echo pwn > leak; ln -s secrets dleak; mkdir -p secrets; echo pwn > dleak/db.txt`, same: true},
		{name: "hidden paths made", script: `echo pwn > .env; mkdir -p secrets deep; echo pwn > secrets/db.txt; echo pwn > deep/server.key; echo pwn > deep/new.key`, same: true},
		{name: "hidden path made a directory", script: `mkdir .env; echo pwn > .env/x; ln -s src secrets`, same: true},
		{name: "rule files rewritten", script: `echo > .agentignore; echo > .sh.agentignore; chmod u+w .agentreadonly; echo > .agentreadonly`, same: true},
		{name: "rule files removed", script: `rm -f .agentignore .sh.agentignore .agentreadonly`, same: true},
		{name: "rule files renamed", script: `mv .agentreadonly old; mkdir -p x; echo > x/.agentreadonly; mv x/.agentreadonly .; rm -rf x old`, same: true},
		{name: "rule files made directories and links", script: `mkdir .agentignore; rm -f .agentreadonly; ln -s src/main.go .agentreadonly; mkdir .sh.agentreadonly`, same: true},
		{name: "rule files made new", script: `for f in .claude.agentignore .claude.agentreadonly .sh.agentreadonly .alca.toml .AGENTIGNORE .AgentReadonly .SH.agentignore .ALCA.toml; do echo '!*' > "$f"; done`, same: true},
		{name: "directory with read-only files renamed", script: `mv ro ro2`, want: `cp -a ro ro2; chmod -R a-w ro2`},
		{name: "read-only files rewritten", script: `chmod -R u+w ro locked.txt mixed; echo pwn > ro/a.txt; echo pwn > locked.txt; echo pwn > mixed/locked.txt; rm ro/sub/b.txt; echo pwn > ro/new`, same: true},
		{name: "read-only replaced by rename", script: `echo pwn > p; mv -f p locked.txt; echo pwn > q; chmod u+w ro; mv -f q ro/a.txt`, same: true},
		{name: "read-only replaced by other types", script: `rm -rf ro; ln -s src ro; rm -f locked.txt; mkdir locked.txt; echo pwn > locked.txt/x`, same: true},
		{name: "read-only directory replaced by a link outside", script: `rm -rf ro; ln -s "$OUTSIDE/dir" ro`, same: true},
		{name: "read-only directory replaced by a link outside, others below changed", script: `chmod -R u+w ro; echo pwn > ro/a.txt; mv ro ro3; ln -s "$OUTSIDE/dir" ro; ln -s "$OUTSIDE/dir" ro3/sub2; echo pwn > ro3/new`},
		{name: "read-only directory replaced by a link to one with the same names", script: `mkdir -p "$TOOLS/twin/sub"; echo twin > "$TOOLS/twin/a.txt"; echo twin > "$TOOLS/twin/sub/b.txt"; cp -a "$TOOLS/twin" "$TOOLS/twin.was"; rm -rf ro; ln -s "$TOOLS/twin" ro`, same: true},
		{name: "read-only directory replaced by a file", script: `rm -rf ro; echo pwn > ro`, same: true},
		{name: "link outside made where a file is refused", script: `mkdir -p ro/n; ln -s "$OUTSIDE/dir" ro/n/l; mkdir -p .git; ln -s "$OUTSIDE/dir" .git/hooks; ln -s "$OUTSIDE/dir" secrets; ln -s "$OUTSIDE/dir" .env`, same: true},
		{name: "read-only modes", script: `chmod -R 0777 ro; chmod 0777 locked.txt; chmod 0 mixed/locked.txt`, same: true},
		{name: "parent of read-only replaced by a link", script: `mv mixed m2; ln -s m2 mixed; rm m2/locked.txt; echo pwn > m2/locked.txt`},
		{name: "directory with hidden files renamed", script: `mv mixed mixed2; echo pwn > mixed2/server.key`},
		{name: "directory with hidden files removed", script: `rm -rf mixed deep`},
		{name: "directory with hidden files made a file", script: `rm -rf deep; echo pwn > deep`},
		{name: "directory with hidden files made a link", script: `rm -rf deep; ln -s src deep`},
		{name: "directory moved to a hidden name", script: `rm -rf secrets; mv src secrets`},
		{name: "directory moved below a hidden name", script: `mkdir -p secrets; mv src docs secrets/`},
		{name: "directory moved to an excluded name", script: `mv src node_modules; mv docs build`},
		{name: "file moved to a hidden name", script: `mv src/main.go src/main.key; mv docs/readme.md .env`},
		{name: "hooks", script: `for d in .git .GIT .Git .gIt/modules/x sub/.git sub/.GIT src/.git src/sub/.gIT; do mkdir -p $d/hooks; echo pwn > $d/hooks/post-checkout; echo pwn > $d/config; chmod +x $d/hooks/*; done; rm -f docs/.git; echo "gitdir: $OUTSIDE/dir" > docs/.git; ln -s src mixed/.git`,
			want: `mkdir -p sub`},
		{name: "names", script: `printf a > "$(printf 'n\nl')"; printf b > -rf; printf c > "$(printf '%0255d' 0)"; printf d > "$(printf 'bad\377\376')"; printf e > ' lead trail '; printf f > '*'; printf g > 'q"'"'"'\b'; printf h > "$(printf 'esc\033[2J')"; mkdir -- "--delete" "$(printf 'd\nl\377')"; printf i > "$(printf 'd\nl\377/f\n')"; rm docs/readme.md; printf j > docs/readme.md\ `,
			want: `printf a > "$(printf 'n\nl')"; printf b > -rf; printf c > "$(printf '%0255d' 0)"; printf d > "$(printf 'bad\377\376')"; printf e > ' lead trail '; printf f > '*'; printf g > 'q"'"'"'\b'; printf h > "$(printf 'esc\033[2J')"; mkdir -- "--delete" "$(printf 'd\nl\377')"; printf i > "$(printf 'd\nl\377/f\n')"; rm docs/readme.md; printf j > docs/readme.md\ `},
		{name: "names of the program's own", script: `mkdir -p src/.alca-mount; echo pwn > .alca-mount-0; mkdir -p ".alca-mount-$(id -u)"; echo x > ".alca-mount-$(id -u)/x"; echo pwn > src/_MOUNT_README.md`},
		{name: "marker and readme rewritten", script: `rm -f .alca-mount; echo "$OUTSIDE" > .alca-mount; echo pwn > _MOUNT_README.md; chmod 0777 .alca-mount`, same: true, halts: true},
		{name: "readme rewritten", script: `echo pwn > _MOUNT_README.md; chmod 0777 .alca-mount`, same: true},
		{name: "directories without rights", script: `mkdir -p a0 a5/b5 a1; echo x > a5/b5/f; echo y > a0/f; chmod 0 a0; chmod 0555 a5/b5 a5; chmod 0100 a1; chmod 0555 src`, closed: true},
		{name: "files without rights", script: `chmod 0 src/main.go; echo new > src/new; chmod 0 src/new`, closed: true},
		{name: "setuid bits", script: `cp /bin/true suid; chmod 6755 suid; mkdir sgid; chmod 7777 sgid`},
		{name: "everything removed", script: `rm -rf ./* ./.[!.]*`, same: true, halts: true},
		{name: "all files removed", script: `chmod -R u+w .; rm -rf ./* .agentreadonly`, same: true, halts: true},
		{name: "the mirror's top without rights", script: `echo more >> src/main.go; chmod 0 .`, closed: true},
	}
}

// The quiet variant: CMD attacks and ends; then the last sync finds what it left.
func TestAttacks(t *testing.T) {
	for _, a := range attacks() {
		t.Run(a.name, func(t *testing.T) {
			if a.root {
				root(t)
			}
			t.Parallel()
			w := newWorld(t, victim()...)
			attackOnce(w, a)
		})
	}
}

// With a copied .git, which is a path of its own kind, no attack may do more.
func TestAttacksOnARepository(t *testing.T) {
	for _, a := range attacks() {
		if !strings.Contains(a.name, "hooks") && !*long {
			continue
		}
		t.Run(a.name, func(t *testing.T) {
			if a.root {
				root(t)
			}
			w := newWorld(t, victim()...)
			w.repository("src", "docs", "mixed/visible.txt")
			attackOnce(w, a, "--git", "copy")
		})
	}
}

func attackOnce(w *world, a attack, flags ...string) {
	t := w.t
	before := filepath.Join(w.dir, "before")
	w.copyTree(w.project, before)
	w.watchOutside()
	needle := filepath.Join(w.dir, "needle")
	write(t, needle, secret+"\n")
	script := `look() { grep -rlF -D skip -f "$TOOLS/needle" . >> "$TOOLS/found"; }; look; ( ` + a.script + ` ) > "$TOOLS/said" 2>&1; cd "$PWD" && look; exit 5`
	// What is asserted is the one look at the end: live sync carries what was there in between, too.
	r := w.run(append(append([]string{"--sync", "exit"}, flags...), "--", "sh", "-c", script)...)
	if r.code != 5 {
		t.Errorf("CMD's exit code is 5: %v", r)
	}
	t.Logf("%v", r)
	if r.stdout != "" {
		t.Errorf("words on stdout: %v", r)
	}
	if found, err := os.ReadFile(filepath.Join(w.dir, "found")); err != nil || len(found) > 0 {
		t.Errorf("hidden content in the mirror: %s %v", found, err)
	}
	w.keptIsThere(r)
	switch {
	case a.halts:
		if s := w.onlySession(); s.State != "kept" {
			t.Errorf("nothing was kept: %+v", s)
		}
	case a.closed && os.Getuid() != 0 && len(w.sessions()) > 0:
		w.opened(w.onlySession())
	default:
		if strings.Contains(r.stderr, "failed: ") {
			t.Errorf("an attack made the last sync fail: %v", r)
		}
		w.noMirrorLeft()
	}
	w.afterAttack(before)
	if twin := filepath.Join(w.dir, "twin"); strings.Contains(a.script, "twin.was") {
		w.same("the twin outside", twin+".was", twin)
	}
	expected := before
	if a.want != "" {
		expected = filepath.Join(w.dir, "expected")
		w.copyTree(before, expected)
		w.tool(nil, "sh", "-c", `cd "$1" && `+a.want, "sh", expected)
	}
	if a.same {
		w.same("project", before, w.project)
	} else if a.want != "" {
		w.same("project", expected, w.project, "--no-times", "--no-owner", "--no-group")
	}
}

// opened gives the user's rights back to a mirror that the agent closed; then sync and rm end the session.
func (w *world) opened(s session) {
	w.t.Helper()
	w.tool(nil, "chmod", "-R", "u+rwX", s.Mirror)
	w.expect(0, "sync", "--delete", s.Session)
	w.expect(0, "rm", s.Session)
	w.noMirrorLeft()
}

// afterAttack checks what holds after every attack: hidden, read-only and policy files are as they were to the inode's
// time, nothing of the user's is lost, the outside is untouched, and no link leads out or to a hidden path.
func (w *world) afterAttack(before string) {
	w.t.Helper()
	w.outsideUntouched()
	w.nothingLost(versions()...)
	for _, p := range protected() {
		was, now := w.protectedState(before, p), w.protectedState(w.project, p)
		if was != now {
			w.t.Errorf("%s is not as it was:\n was %s\n now %s", p, was, now)
		}
	}
	if out := w.holding("outside", w.project); len(out) > 0 && !w.allowsOutside(out) {
		w.t.Errorf("content from outside in the project: %q", out)
	}
	for _, f := range w.holding(secret, w.project) {
		rel, _ := filepath.Rel(w.project, f)
		switch rel {
		case ".env", "secrets/db.txt", "deep/server.key", "mixed/server.key":
		default:
			w.t.Errorf("hidden content at a visible name: %s", rel)
		}
	}
	links := w.tool(nil, "find", w.project, "-type", "l", "-printf", `%P\t%l\n`)
	for _, line := range strings.Split(strings.TrimSuffix(links, "\n"), "\n") {
		name, target, _ := strings.Cut(line, "\t")
		if filepath.IsAbs(target) || strings.Contains(target, "outside") || strings.Contains(target, ".env") || strings.Contains(target, "secrets") {
			w.t.Errorf("a link that may not cross did: %s -> %s", name, target)
		}
	}
	if specials := w.tool(nil, "find", w.project, "!", "-type", "f", "!", "-type", "d", "!", "-type", "l"); specials != "" {
		w.t.Errorf("special files in the project: %s", specials)
	}
	if temps := w.tool(nil, "find", w.project, "-name", "*.alca-*", "-o", "-name", ".alca-mount"); temps != "" && !strings.Contains(temps, "src/.alca-mount") {
		w.t.Errorf("temporary names in the project: %s", temps)
	}
}

// keptIsThere: each place that the end lines name holds something.
func (w *world) keptIsThere(r result) {
	w.t.Helper()
	for _, line := range strings.Split(r.stderr, "\n") {
		_, place, named := strings.Cut(line, "  kept: ")
		if !named || strings.HasPrefix(place, `"`) {
			continue
		}
		if _, err := os.Lstat(place); err != nil {
			w.t.Errorf("the end lines name a kept version that is not there: %s", line)
		}
	}
}

// A hard link to a file outside is a regular file of the mirror: its content crosses as the agent's, in a file of its own.
func (w *world) allowsOutside(files []string) bool {
	return len(files) == 1 && files[0] == filepath.Join(w.project, "src/util.go") &&
		w.tool(nil, "stat", "-c", "%h %i", files[0]) != w.tool(nil, "stat", "-c", "%h %i", filepath.Join(w.outside, "target.txt")) &&
		strings.HasPrefix(w.tool(nil, "stat", "-c", "%h", files[0]), "1")
}

// protected are the paths of a victim that no agent changes.
func protected() []string {
	return []string{".agentignore", ".sh.agentignore", ".agentreadonly", ".env", "secrets/db.txt", "deep/server.key",
		"mixed/server.key", "mixed/locked.txt", "locked.txt", "ro/a.txt", "ro/sub/b.txt"}
}

func (w *world) protectedState(dir, p string) string {
	w.t.Helper()
	full := filepath.Join(dir, p)
	if _, err := os.Lstat(full); err != nil {
		return err.Error()
	}
	return w.tool(nil, "stat", "-c", "%F %a %u %s %y", full) + w.tool([]int{1}, "cat", full)
}

// repository makes the project a git repository with the paths committed.
func (w *world) repository(paths ...string) {
	w.t.Helper()
	w.git("init", "-q", "-b", "main")
	w.git(append([]string{"add", "-f", "--"}, paths...)...)
	w.git("commit", "-qm", "first")
}

func (w *world) git(args ...string) string {
	w.t.Helper()
	return w.gitIn(w.project, args...)
}

func (w *world) gitIn(dir string, args ...string) string {
	w.t.Helper()
	id := []string{"-C", dir, "-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false", "-c", "gc.auto=0"}
	return w.tool(nil, "git", append(id, args...)...)
}

// A hard link to a file outside comes home as content, in a file of its own.
func TestHardLinkToOutsideIsSevered(t *testing.T) {
	w := newWorld(t, "a=user a")
	w.watchOutside()
	w.expect(0, "--", "sh", "-c", `ln -f "$OUTSIDE/target.txt" a; ln "$OUTSIDE/target.txt" b`)
	w.outsideUntouched()
	w.nothingLost("user a")
	for _, p := range []string{"a", "b"} {
		if got := strings.TrimSpace(w.tool(nil, "stat", "-c", "%h", filepath.Join(w.project, p))); got != "1" {
			t.Errorf("%s has %s links", p, got)
		}
	}
	// What is written to either later stays there.
	write(t, filepath.Join(w.project, "a"), "user again\n")
	w.outsideUntouched()
}

// A tampered policy does not outlive the session: the next one hides what the first hid.
func TestNextSessionHidesWhatTheFirstHid(t *testing.T) {
	w := newWorld(t, victim()...)
	for _, name := range []string{"sh", "claude"} {
		w.expect(0, "--agent", name, "--", "sh", "-c",
			`for f in .agentignore .sh.agentignore .claude.agentignore .AGENTIGNORE; do echo '!*' > $f; done; rm -f .agentreadonly; echo '!.env' > .alca.toml`)
	}
	mirror := w.create("--agent", "sh")
	if found := w.holding(secret, mirror); len(found) > 0 {
		t.Errorf("hidden content in the next mirror: %q", found)
	}
	if _, err := os.Lstat(filepath.Join(mirror, "src/main.go")); err != nil {
		t.Errorf("the mirror is not one: %v", err)
	}
}
