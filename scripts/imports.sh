#!/usr/bin/env bash
# Holds the direction of imports: cmd → launcher → autosync → mirror → {dotfiles, safety}, each also to any further right.
set -euo pipefail
cd "$(dirname "$0")/.."

module=$(go list -m)
rank() {
	case "$1" in
	bench | cmd) echo 0 ;; launcher) echo 1 ;; autosync) echo 2 ;; mirror) echo 3 ;; dotfiles | safety) echo 4 ;;
	*) echo "imports: no place for package $1 in the layout" >&2; exit 1 ;;
	esac
}

bad=0
while read -r from to; do
	a=${from#"$module"/} b=${to#"$module"/}
	a=${a%%/*} b=${b%%/*}
	[ "$a" != "$b" ] || continue
	if [ "$(rank "$b")" -le "$(rank "$a")" ]; then
		echo "imports: $from may not import $to" >&2
		bad=1
	fi
done < <(go list -test=false -f '{{$p := .ImportPath}}{{range .Imports}}{{$p}} {{.}}{{"\n"}}{{end}}' ./... | grep " $module/")

# Runtimes know nothing of syncing.
if go list -f '{{$p := .ImportPath}}{{range .Imports}}{{$p}} {{.}}{{"\n"}}{{end}}' ./launcher/internal/... | grep -E "$module/(autosync|mirror)"; then
	echo "imports: a runtime may not import the packages above" >&2
	bad=1
fi
exit $bad
