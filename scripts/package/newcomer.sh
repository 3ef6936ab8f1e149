#!/bin/sh
# A newcomer's path with the installed program: an ordinary user, an empty home, a real project with planted secrets.
# What the preflight names, init hides; an agent works, its changes are looked at, applied, and taken back.
# Usage: newcomer.sh SOURCE, a directory that is copied; HOME is to be empty.
set -eu
PATH=/usr/bin:/bin
cp -R "$1" "$HOME/project"
cd "$HOME/project"
chmod -R u+w .
git init -q
git config user.name you
git config user.email you@example.com
git add -A
git commit -qm all

mkdir deploy conf infra
echo 'STRIPE_KEY=sk_live_PLANTED' >.env
printf '%s\n' '-----BEGIN PRIVATE KEY-----' PLANTED '-----END PRIVATE KEY-----' >deploy/server.key
echo '{"type": "service_account", "project_id": "PLANTED", "private_key": "PLANTED"}' >conf/gcp.json
echo '{"version": 4, "resources": ["PLANTED"]}' >infra/prod.tfstate
echo '//registry.npmjs.org/:_authToken=npm_PLANTED' >.npmrc
echo '{"aws_secret_access_key": "PLANTED"}' >conf/credentials.json
secrets='.env deploy/server.key conf/gcp.json infra/prod.tfstate .npmrc conf/credentials.json'

die() {
	echo "newcomer: $*" >&2
	exit 1
}

alca-mount -- true 2>"$HOME/said" || die "the first launch: $(cat "$HOME/said")"
for file in $secrets; do
	grep -qF "    $file " "$HOME/said" || die "$file was not named before the first launch: $(cat "$HOME/said")"
done
alca-mount init -y 2>"$HOME/said" || die "init: $(cat "$HOME/said")"
for file in $secrets; do
	alca-mount explain "$file" | grep -q '^hidden' || die "init left $file visible: $(alca-mount explain "$file")"
done

cat >"$HOME/agent" <<'END'
grep -rl PLANTED . && exit 9
rm README.md
echo '// a word of the agent' >>command.go
echo new >NOTES
END
alca-mount -q --sync review --name first -- sh "$HOME/agent" 2>"$HOME/said" || die "the agent saw a secret, or failed: $? $(cat "$HOME/said")"
[ -e README.md ] || die "something crossed before it was approved"
alca-mount diff first --name-status >"$HOME/diff"
[ "$(wc -l <"$HOME/diff")" = 3 ] || die "diff: $(cat "$HOME/diff")"
alca-mount -q apply first
if [ -e README.md ] || [ ! -e NOTES ] || ! grep -q 'a word of the agent' command.go; then die "apply: $(git status --short)"; fi
alca-mount -q undo first
[ -z "$(git status --porcelain --untracked-files=no)" ] || die "undo left $(git status --short)"
[ ! -e NOTES ] || die "undo left the agent's new file"
alca-mount -q rm first
echo "a newcomer's path works"
