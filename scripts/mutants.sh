#!/usr/bin/env bash
# Takes each guard out, one at a time, and shows that the test named in the patch then fails.
# A patch in scripts/mutants/ begins with lines "kills: PACKAGE TEST"; every one of those tests has to die.
# Usage: scripts/mutants.sh [PATCH…]
set -euo pipefail
cd "$(dirname "$0")/.."

patches=("$@")
[ $# -gt 0 ] || patches=(scripts/mutants/*.patch)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
survivors=0

check() {
	local patch=$1 pkg test out
	rm -rf "$work/tree" && mkdir "$work/tree"
	git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$work/tree"
	if ! (cd "$work/tree" && git apply --unidiff-zero --recount "$OLDPWD/$patch") 2>"$work/err"; then
		echo "STALE     $patch: $(head -1 "$work/err")"
		return 1
	fi
	while read -r pkg test; do
		if (cd "$work/tree" && go test -vet=off -count=1 -run "^($test)\$" "$pkg") >"$work/out" 2>&1; then
			echo "SURVIVED  $patch: $pkg $test passes without the guard"
			return 1
		fi
		if ! grep -q -e '^--- FAIL' -e '^panic:' "$work/out"; then
			echo "BROKEN    $patch: it does not come to $test"; head -5 "$work/out"
			return 1
		fi
		echo "killed    $(basename "$patch" .patch) by $test"
	done < <(sed -n 's/^kills: //p' "$patch")
}

for patch in "${patches[@]}"; do
	check "$patch" || survivors=$((survivors + 1))
done
[ "$survivors" = 0 ] || { echo "$survivors mutants are not killed" >&2; exit 1; }
