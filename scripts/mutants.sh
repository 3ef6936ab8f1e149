#!/usr/bin/env bash
# Takes each guard out, one at a time, and shows that the test named in the patch then fails.
# A patch in scripts/mutants/ begins with lines "kills: PACKAGE TEST" (TEST may be TestName/subtest); every one of those
# tests has to die. "kills as user:" is for guards that root does not need: the test runs as an ordinary user.
# The tree itself is left alone: the go command reads the patched files through an overlay.
# Usage: scripts/mutants.sh [PATCH…]; JOBS=n runs n at a time (2).
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD ordinary=alcatest

# check tries one patch in the empty directory $2. It prints a line for each test, and fails unless all of them die.
check() {
	local patch=$1 dir=$2 who pkg test
	if ! takeOut "$patch" "$dir" 2>"$dir/err"; then
		echo "STALE     $patch: $(head -1 "$dir/err")"
		return 1
	fi
	if ! grep -q '^kills' "$patch"; then
		echo "BROKEN    $patch: it names no test"
		return 1
	fi
	while IFS=: read -r who test; do
		read -r pkg test <<<"$test"
		judge "$patch" "$dir" "$who" "$pkg" "$test" || return 1
	done < <(grep '^kills' "$patch")
}

# takeOut makes the patched files and the overlay that names them.
takeOut() {
	local patch=$1 dir=$2 file comma=
	git apply --numstat --unidiff-zero --recount "$patch" >"$dir/files"
	mkdir "$dir/tree"
	printf '{"Replace":{' >"$dir/overlay.json"
	while read -r _ _ file; do
		cp --parents "$file" "$dir/tree"
		printf '%s"%s":"%s"' "$comma" "$root/$file" "$dir/tree/$file" >>"$dir/overlay.json"
		comma=,
	done <"$dir/files"
	printf '}}\n' >>"$dir/overlay.json"
	(cd "$dir/tree" && GIT_CEILING_DIRECTORIES=$dir git apply --unidiff-zero --recount -) <"$patch"
}

# judge runs one test and says what became of it.
judge() {
	local patch=$1 dir=$2 who=$3 pkg=$4 test=$5 name status=0
	name=$(basename "$patch" .patch)
	try "$dir" "$who" "$pkg" "^${test//\//\$/^}\$" >"$dir/out" 2>&1 || status=$?
	if grep -q '^panic: test timed out' "$dir/out"; then
		echo "HANGS     $patch: $pkg $test"
	elif [ $status != 0 ] && grep -q -e '^--- FAIL' -e '^panic:' -e '^fatal error:' "$dir/out"; then
		echo "killed    $name by $test"
		return 0
	elif [ $status = 77 ]; then
		echo "untried   $name: there is no user $ordinary to try it as"
		return 0
	elif [ $status != 0 ]; then
		echo "BROKEN    $patch: it does not come to $test"
		awk 'NR <= 5 { print "          " $0 }' "$dir/out"
	elif grep -q '^--- SKIP' "$dir/out"; then
		echo "untried   $name: $test is skipped here"
		return 0
	elif ! grep -q '^=== RUN' "$dir/out"; then
		echo "BROKEN    $patch: $pkg has no $test"
	else
		echo "SURVIVED  $patch: $pkg $test passes without the guard"
	fi
	return 1
}

# try runs a package's test with the guard out.
try() {
	local dir=$1 who=$2 pkg=$3 run=$4
	export GOFLAGS="${GOFLAGS:-} -overlay=$dir/overlay.json"
	if [ "$who" = kills ] || [ "$(id -u)" != 0 ]; then
		go test -vet=off -count=1 -v -timeout=60s -run "$run" "$pkg"
		return
	fi
	id "$ordinary" || return 77
	go test -vet=off -c -o "$dir/test" "$pkg"
	mkdir -p "$dir/user" && chown "$ordinary" "$dir/user"
	su "$ordinary" -c "cd '$dir/user' && TMPDIR='$dir/user' '$dir/test' -test.v -test.timeout=60s -test.run '$run'"
}

# sound runs all tests that the patches name without any patch: only a test that passes tells something by failing.
sound() {
	local pkg tests
	for pkg in $(sed -n 's/^kills[^:]*: //p' "$@" | cut -d' ' -f1 | sort -u); do
		tests=$(sed -n 's/^kills[^:]*: //p' "$@" | awk -v pkg="$pkg" '$1 == pkg { sub("/.*", "", $2); print $2 }' | sort -u | paste -sd '|')
		go test -vet=off -count=1 -timeout=120s -run "^($tests)\$" "$pkg" || return 1
	done
}

if [ "${1:-}" = --one ]; then # PATCH DIRECTORY: leaves out.txt and, as the last thing, done
	mkdir "$3"
	chmod 0755 "$3"
	check "$2" "$3" >"$3/out.txt" && echo 0 >"$3/verdict" || echo 1 >"$3/verdict"
	rm -rf "$3/tree" "$3/test" "$3/user"
	mv "$3/verdict" "$3/done"
	exit 0
fi

patches=("$@")
[ $# -gt 0 ] || patches=(scripts/mutants/*.patch)
sound "${patches[@]}" || { echo "tests fail already with every guard in place" >&2; exit 1; }
work=$(mktemp -d)
chmod 0755 "$work"
for i in "${!patches[@]}"; do
	printf '%s\0%s\0' "${patches[i]}" "$work/$i"
done | xargs -0 -n 2 -P "${JOBS:-2}" "$root/scripts/mutants.sh" --one &
runner=$!
trap 'kill $runner 2>/dev/null || true; wait $runner 2>/dev/null || true; rm -rf "$work"' EXIT
survivors=0
for i in "${!patches[@]}"; do # in the order of the patches, whichever is done first
	until [ -e "$work/$i/done" ]; do
		kill -0 $runner 2>/dev/null || [ -e "$work/$i/done" ] || { echo "${patches[i]} was not tried" >&2; exit 1; }
		sleep 0.1
	done
	cat "$work/$i/out.txt"
	survivors=$((survivors + $(cat "$work/$i/done")))
done
[ "$survivors" = 0 ] || { echo "$survivors of ${#patches[@]} mutants are not killed" >&2; exit 1; }
untried=$(cat "$work"/*/out.txt | grep -c '^untried' || true)
echo "${#patches[@]} mutants, every one killed$([ "$untried" = 0 ] || echo " but for $untried that could not be tried here")"
