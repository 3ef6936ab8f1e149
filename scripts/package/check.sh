#!/bin/sh
# Looks at an installed package of alca-mount: the program, its version, manual pages, completions, and one launch.
set -eu
installed=$(dpkg-query -W -f '${Version}' alca-mount)
/usr/bin/alca-mount version | grep -F "alca-mount $installed " >/dev/null || {
	echo "the package is $installed, the program $(/usr/bin/alca-mount version)" >&2
	exit 1
}
man -w alca-mount alca-mount-run alca-mount-doctor >/dev/null
for file in /usr/share/bash-completion/completions/alca-mount /usr/share/zsh/vendor-completions/_alca-mount \
	/usr/share/fish/vendor_completions.d/alca-mount.fish /usr/share/doc/alca-mount/copyright /usr/share/doc/alca-mount/docs/cli.md; do
	[ -s "$file" ] || { echo "$file is missing" >&2; exit 1; }
done
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/home" "$dir/project"
cd "$dir/project"
echo KEY=1 >.env
echo .env >.agentignore
echo one >file
HOME=$dir/home XDG_STATE_HOME=$dir/state /usr/bin/alca-mount -q -- sh -c 'test ! -e .env && echo two >>file'
[ "$(cat file)" = "$(printf 'one\ntwo')" ]
echo "the installed $installed works"
