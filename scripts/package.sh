#!/usr/bin/env bash
# Builds dist/: for each architecture a deb, an rpm and a tar.gz with the program, manual pages, completions and docs.
# The version is that of the newest release in CHANGELOG.md; with changes under "Unreleased", one that comes after it.
# Usage: scripts/package.sh [ARCH…]; ARCH as in GOARCH, by default this machine's.
set -euo pipefail
cd "$(dirname "$0")/.."

nfpm=v2.41.3
tools=${ALCA_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/alca-mount-tools}

# version reads the changelog: "1.2.0", or what is to come after it "1.2.0+git20260131.0123456789ab".
version() {
	local released unreleased
	released=$(sed -n 's/^## \[\{0,1\}\([0-9][0-9.]*\).*/\1/p' CHANGELOG.md | sed -n 1p)
	unreleased=$(awk '/^## /{on = /Unreleased/} on && /^- /' CHANGELOG.md | sed -n 1p)
	if [ -n "$released" ] && [ -z "$unreleased" ]; then
		echo "$released"
		return
	fi
	echo "${released:-0.0.0}+git$(git log -1 --date=format:%Y%m%d --format=%cd.%h --abbrev=12)"
}

# stage makes what the packages of one architecture hold.
stage() {
	local arch=$1 dir=$2
	mkdir -p "$dir/bin" "$dir/man" "$dir/completion" "$dir/doc/docs"
	GOOS=linux GOARCH=$arch CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.release=$VERSION" -o "$dir/bin/alca-mount" ./cmd/alca-mount
	"$own" man "$dir/man"
	gzip -9n "$dir"/man/*.1
	"$own" completion bash >"$dir/completion/alca-mount.bash"
	"$own" completion fish >"$dir/completion/alca-mount.fish"
	"$own" completion zsh >"$dir/completion/_alca-mount"
	cp README.md CHANGELOG.md LICENSE "$dir/doc"
	cp LICENSE "$dir/doc/copyright"
	cp docs/*.md docs/*.json "$dir/doc/docs"
	chmod -R u=rwX,go=rX "$dir"
	find "$dir" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

# archive makes the tar.gz: the same bytes from the same commit.
archive() {
	local dir=$1 name=$2
	tar -C "$dir" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
		--transform="s,^\.,$name," -cf - . | gzip -9n >"dist/$name.tar.gz"
}

VERSION=$(version)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export VERSION SOURCE_DATE_EPOCH ARCH STAGE

if [ ! -x "$tools/nfpm-$nfpm" ]; then
	GOBIN=$tools go install "github.com/goreleaser/nfpm/v2/cmd/nfpm@$nfpm"
	mv "$tools/nfpm" "$tools/nfpm-$nfpm"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf dist
mkdir dist
own=$work/alca-mount
go build -o "$own" ./cmd/alca-mount # of this machine, to make the pages and scripts with

[ $# -gt 0 ] || set -- "$(go env GOARCH)"
for ARCH in "$@"; do
	STAGE=$work/$ARCH
	stage "$ARCH" "$STAGE"
	for kind in deb rpm; do
		"$tools/nfpm-$nfpm" package --config scripts/package/nfpm.yaml --packager "$kind" --target dist/
	done
	archive "$STAGE" "alca-mount-$VERSION-linux-$ARCH"
done
(cd dist && sha256sum -- * >SHA256SUMS)
ls -l dist
