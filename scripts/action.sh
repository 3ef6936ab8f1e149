#!/bin/sh
# The action's step: runs $INPUT_RUN on a mirror of $INPUT_PROJECT and brings its changes home.
# Exits with the command's code; 3: not all could be brought home, the mirror is kept, and is the output "mirror".
set -eu
cd "${INPUT_PROJECT:-.}"
run=$INPUT_RUN name=action-$$
output=${GITHUB_OUTPUT:-/dev/null}
summary=${GITHUB_STEP_SUMMARY:-/dev/null}

mirror=$(alca-mount create -q --name "$name")
code=0
(cd "$mirror" && unset INPUT_RUN GITHUB_OUTPUT GITHUB_ENV GITHUB_PATH GITHUB_STEP_SUMMARY && exec sh -c "$run") || code=$?

deletes=--delete
[ "${INPUT_DELETE:-true}" = true ] || deletes=
report=$(mktemp)
trap 'rm -f "$report"' EXIT
kept=
# shellcheck disable=SC2086 # no word or one
alca-mount sync -q --json $deletes "$name" >"$report" || kept=yes
changed=true
grep -q '"to_project":\[\],"deleted":\[\]' "$report" && changed=false
{ printf 'report='; cat "$report"; echo "changed=$changed"; } >>"$output"
{ echo '### alca-mount'; echo '```json'; cat "$report"; echo '```'; } >>"$summary"
if [ -z "$kept" ]; then
	alca-mount rm -q "$name" || kept=yes
fi
if [ -n "$kept" ]; then
	echo "mirror=$mirror" >>"$output"
	echo "::warning title=alca-mount::not all came home; the mirror is kept: $mirror"
	exit 3
fi
exit "$code"
