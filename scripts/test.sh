#!/usr/bin/env bash
# Runs every check and test of the project, as root and as an ordinary user, and installs what they need.
# Usage: scripts/test.sh [STEP…]; without steps, all of them. PACKAGES narrows the step "user" down.
set -euo pipefail
cd "$(dirname "$0")/.."

steps=(prepare format vet staticcheck imports tidy platforms race user containers packages fuzz mutants)
[ $# -eq 0 ] || steps=("$@")

tools=${ALCA_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/alca-mount-tools}
ordinary=alcatest

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

step_prepare() {
	local need=() pkg
	for pkg in git rsync attr acl tmux strace xfsprogs e2fsprogs python3-fusepy; do
		dpkg -s "$pkg" >/dev/null 2>&1 || command -v "$pkg" >/dev/null 2>&1 || need+=("$pkg")
	done
	if [ ${#need[@]} -gt 0 ]; then
		if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
			apt-get update -qq
			DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${need[@]}" >/dev/null
		else
			echo "skipped: tests that need ${need[*]} (not installed, and this is not root on Debian)"
		fi
	fi
	if [ "$(id -u)" = 0 ] && ! id "$ordinary" >/dev/null 2>&1; then
		useradd --create-home "$ordinary"
	fi
	[ -x "$tools/staticcheck" ] || GOBIN=$tools go install honnef.co/go/tools/cmd/staticcheck@v0.8.2
}

step_format() {
	local bad
	bad=$(gofmt -l .)
	[ -z "$bad" ] || fail "gofmt: $bad"
}

step_vet() { go vet ./...; }
step_staticcheck() { "$tools/staticcheck" ./...; }
step_imports() { scripts/imports.sh; }
step_tidy() { go mod tidy -diff; }

step_platforms() {
	local os
	for os in darwin windows; do
		GOOS=$os go build ./... && GOOS=$os go vet ./... || fail "GOOS=$os"
	done
}

step_race() { go test -race ./...; }

# The same tests as an ordinary user: permissions that root does not feel.
step_user() {
	if [ "$(id -u)" != 0 ]; then
		echo "skipped: this is an ordinary user already"
		return
	fi
	local work bin pkg dir list
	work=$(mktemp -d)
	trap 'rm -rf "$work"' RETURN
	mkdir "$work/tree" "$work/bin" "$work/tmp"
	git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$work/tree"
	go build -o "$work/bin/alca-mount" ./cmd/alca-mount
	chown -R "$ordinary" "$work"
	chmod 0755 "$work"
	list=$(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ${PACKAGES:-./...})
	for pkg in $list; do
		dir=${pkg#github.com/alca-mount/alca-mount}
		bin=$work/bin/$(echo "$pkg" | tr / _).test
		go test -c -o "$bin" "$pkg"
		# Without a Go toolchain on PATH: what needs to compile runs as the caller only, and says so.
		(cd "$work/tree/${dir#/}" && su "$ordinary" -c "PATH=/usr/bin:/bin TMPDIR='$work/tmp' ALCA_MOUNT_BIN='$work/bin/alca-mount' '$bin' -test.timeout=10m") >"$work/out" 2>&1 ||
			{ cat "$work/out"; fail "$pkg as an ordinary user"; }
		echo "ok  $pkg"
	done
}

# Launches in containers, on Docker and Podman engines of the tests' own. Nothing in them is skipped.
step_containers() {
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		echo "skipped: the tests' own engines take root on Debian"
		[ -z "${CI:-}" ] || fail "containers: not tested"
		return
	fi
	installMissing dockerd:docker.io docker:docker.io podman:podman newuidmap:uidmap slirp4netns:slirp4netns \
		busybox:busybox-static debootstrap:debootstrap
	mountpoint -q /sys/fs/cgroup || installMissing cgroupfs-mount:cgroupfs-mount
	mountpoint -q /sys/fs/cgroup || cgroupfs-mount
	grep -q "^$ordinary:" /etc/subuid || usermod --add-subuids 100000-165535 --add-subgids 100000-165535 "$ordinary"
	ALCA_CONTAINERS=1 ALCA_DEBIAN_TAR=$(debian) ALCA_ORDINARY=$ordinary go test -count=1 ./cmd/alca-mount/containers
}

# installMissing takes PROGRAM:PACKAGE and installs the packages whose program is not there.
installMissing() {
	local need=() pair
	for pair in "$@"; do
		command -v "${pair%%:*}" >/dev/null || need+=("${pair#*:}")
	done
	[ ${#need[@]} -gt 0 ] || return 0
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${need[@]}" tini iptables ca-certificates >/dev/null
}

# debian makes the root file system of a small Debian, once, and prints where it is.
debian() {
	local tar=$tools/debian.tar dir
	if [ ! -f "$tar" ]; then
		dir=$(mktemp -d)
		debootstrap --variant=minbase bookworm "$dir" >&2
		chroot "$dir" useradd --create-home dev
		rm -rf "$dir"/var/cache/apt/archives/*.deb "$dir"/var/lib/apt/lists/*
		mkdir -p "$tools"
		tar -C "$dir" --exclude='./dev/*' -cf "$tar.new" .
		mv "$tar.new" "$tar"
		rm -rf "$dir"
	fi
	echo "$tar"
}

# The packages: built, and the deb installed, looked at and removed again.
step_packages() {
	scripts/package.sh
	if [ "$(id -u)" != 0 ] || ! command -v dpkg >/dev/null; then
		echo "skipped: only root on Debian installs the deb"
		return
	fi
	if dpkg -s alca-mount >/dev/null 2>&1; then
		echo "skipped: alca-mount is installed here already"
		return
	fi
	installMissing man:man-db
	dpkg --path-include='/usr/share/man/*' --path-include='/usr/share/doc/*' -i dist/*.deb >/dev/null
	local bad=
	scripts/package/check.sh || bad=yes
	newcomer || bad=yes
	dpkg -P alca-mount >/dev/null
	[ -z "$bad" ] || fail "the installed deb"
	[ ! -e /usr/bin/alca-mount ] || fail "the removed deb left /usr/bin/alca-mount"
}

# newcomer lets an ordinary user go the way of the tutorial with the installed program, in a real project.
newcomer() {
	local home ok=
	home=$(mktemp -d)
	cp -R "$(go list -m -f '{{.Dir}}' github.com/spf13/cobra)" "$home/source"
	mkdir "$home/home"
	cp scripts/package/newcomer.sh "$home"
	chown -R "$ordinary" "$home"
	su "$ordinary" -c "HOME=$home/home sh $home/newcomer.sh $home/source" && ok=yes
	rm -rf "$home"
	[ -n "$ok" ]
}

# A few seconds of each fuzz target.
step_fuzz() {
	local pkg list target targets
	list=$(go list ./...)
	for pkg in $list; do
		targets=$(go test -list '^Fuzz' "$pkg")
		for target in $(grep '^Fuzz' <<<"$targets" || true); do
			echo "$pkg $target"
			go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-3s}" "$pkg" >/dev/null || fail "$pkg $target"
		done
	done
}

step_mutants() { scripts/mutants.sh; }

for step in "${steps[@]}"; do
	say "$step"
	"step_$step"
done
say "all passed"
