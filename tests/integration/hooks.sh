# The seven events of hooks, each where it happens and with what is known of it; vetoes stop what would come next.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/registry.sh"
need_tool docker-registry skopeo
own_prefix
ETC=$PREFIX/etc/singularity
HOOK=$(find "$SG_STAGE/plugins-gcc" -path '*/veto-hook/plugin.yaml' | head -n 1)
printf 'plugins: [{manifest: %s}]\n' "$HOOK" >"$ETC/plugins.d/50-hook.yaml"
mkdir -p "$ETC/conf.d"
forbid() { printf 'veto: {word: "%s", log: %s}\n' "$1" "$T/w/events" >"$ETC/conf.d/50-hook.yaml"; }
events() { cut -d '|' -f 1 "$T/w/events" | tr '\n' ' '; }
# heard EVENT REFERENCE PATH DIGEST STATUS: extended regular expressions
heard() { grep -Eq "^$1\|$2\|$3\|$4\|$5\$" "$T/w/events" || { fail "not heard: $1|$2|$3|$4|$5"; sed 's/^/    heard: /' "$T/w/events"; }; }
: >events
chmod 666 events
start_registry open && OPEN=127.0.0.1:$PORT
upload full.oci:latest "$OPEN/lab/full:latest"
DIGEST=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$OPEN/lab/full:latest")
forbid ''

check "pull: resolved, before_build, fetched, built, with reference, digest and path"
ok singularity pull --no-https p.sif "docker://$OPEN/lab/full"
expect_equal "$(events)" "resolved before_build fetched built "
for e in 'resolved|' 'fetched|' 'before_build|p\.sif' 'built|p\.sif'; do heard "${e%|*}" "docker:$OPEN/lab/full" "${e#*|}" "$DIGEST" 0; done

check "build from a URI tells the same; from what is here, nothing is fetched"
: >events
ok singularity build --no-https b.sif "docker://$OPEN/lab/full"
expect_equal "$(events)" "resolved before_build fetched built "
: >events
ok singularity build t.sif "oci:$IMAGES/tiny.oci"
expect_equal "$(events)" "resolved before_build built "
heard resolved "oci:$IMAGES/tiny.oci" '' 'sha256:[0-9a-f]{64}' 0

if [ "$(id -u)" = 0 ] || [ $FUSE_FOR_USERS = yes ]; then
    check "an instance's end is told, by its own status, also when it is stopped"
    until_heard() { local i; for ((i = 0; i < 400; i++)); do ! grep -q "$1" "$T/w/events" || return 0; sleep 0.05; done; fail "not heard: $1"; }
    ok singularity build --sandbox service p.sif
    printf '#!/bin/sh\nwhile [ ! -e %s/go ]; do sleep 0.05; done\nexit 9\n' "$T/w" >service/.singularity.d/startscript
    : >events
    ok singularity instance start service fails
    ok singularity instance start p.sif stays
    heard before_run p.sif '/.*/p\.sif' '' 0
    ! grep -q '^ended' events || fail "an end was told before it came"
    touch go
    until_heard '^ended|service'
    heard ended service '/.*/service' '' 9
    ok singularity instance stop stays
    until_heard '^ended|p.sif'
    ok singularity instance list
    refuse_out 'stays|fails'
fi

check "a run from a URI: resolved before the cache answers, and the container's end with its status"
: >events
run singularity exec --no-https "docker://$OPEN/lab/full" sh -c 'exit 7'
expect_rc 7
expect_equal "$(events)" "resolved before_build fetched built before_run ended "
heard ended ".*$OPEN/lab/full" '/.*' '' 7
: >events
ok singularity exec --no-https "docker://$OPEN/lab/full" true
expect_equal "$(events)" "resolved before_run ended "
heard resolved "docker:$OPEN/lab/full" '' "$DIGEST" 0

ends() {
    check "the end of a container is told, by its own status, signals too"
    : >"$T/w/events"
    chmod 666 "$T/w/events"
    ok me singularity exec "$T/w/p.sif" true
    heard before_run '.*/p\.sif' '/.*p\.sif' '' 0
    heard ended '.*/p\.sif' '/.*p\.sif' '' 0
    run me singularity exec "$T/w/p.sif" sh -c 'kill -TERM $$'
    expect_rc 143
    heard ended '.*/p\.sif' '/.*p\.sif' '' 143
    start log me singularity exec "$T/w/p.sif" sh -c 'trap "exit 5" USR1; echo ready; while :; do sleep 0.05; done'
    until_says log ready
    kill -USR1 "$PID"
    ended
    expect_rc 5
    heard ended '.*/p\.sif' '/.*p\.sif' '' 5
    check "who heard that it is about to run hears the end, though it cannot start"
    run me singularity exec "$T/w/p.sif" no-such-program
    expect_failure
    expect_equal "$(tail -n 2 "$T/w/events" | cut -d '|' -f 1,5)" "before_run|0
ended|$RC"
    run me singularity exec --pwd /no/such/place "$T/w/p.sif" true
    expect_failure
    expect_equal "$(tail -n 1 "$T/w/events" | cut -d '|' -f 1,5)" "ended|$RC"
    run me singularity instance start --pwd /no/such/place "$T/w/p.sif" stillborn
    expect_failure
    expect_equal "$(tail -n 2 "$T/w/events" | cut -d '|' -f 1,5)" "before_run|0
ended|$RC"
    run me sh -c "echo from outside | singularity exec '$T/w/p.sif' cat"
    expect_equal "$OUT" "from outside"
}
chmod 644 p.sif
if [ $FUSE_FOR_USERS = yes ] || [ "$(id -u)" != 0 ]; then each_user ends; else ends; fi

records=$HOME/.singularity/cache/digests
sum() { echo "sha256:$(sha256sum "$1" | cut -d ' ' -f 1)"; }
check "no file is read for its digest while no hook wants it"
[ ! -e "$records" ] || fail "records of digests were made"

check "a hook that wants the digest of the image file gets it, and a directory has none"
sed "s#events: .*#&\n      wants: [digest]#; s#^object: #object: $(dirname "$HOOK")/#" "$HOOK" >wants.yaml
printf 'plugins: [{manifest: %s}]\n' "$T/w/wants.yaml" >"$ETC/plugins.d/50-hook.yaml"
cp p.sif d.sif
sleep 0.1 # a file that is younger than a tick of the clock is not remembered
: >events
ok singularity exec d.sif true
heard before_run d.sif '/.*/d\.sif' "$(sum d.sif)" 0
heard ended d.sif '/.*/d\.sif' "$(sum d.sif)" 0
ok singularity build --sandbox directory p.sif
ok singularity exec directory true
heard before_run directory '/.*/directory' '' 0
refuse_err WARNING

check "it is read once for each file, and again when the file has changed"
[ "$(stat -c %a "$records")" = 700 ] || fail "others may write the records"
other=sha256:$(printf 'a%.0s' {1..64})
for record in "$records"/*; do sed -i "s/^sha256:.*/$other/" "$record"; done
: >events
ok singularity exec d.sif true
heard before_run d.sif '/.*/d\.sif' "$other" 0
printf more >>d.sif
: >events
ok singularity exec d.sif true
heard before_run d.sif '/.*/d\.sif' "$(sum d.sif)" 0
for damage in 's/^sha256:.*/sha256:abc/' '1s/.*/digest 2/' 's/^image .*/image 1 2 3 4 5/'; do
    for record in "$records"/*; do sed -i "$damage" "$record"; done
    : >events
    ok singularity exec d.sif true
    heard before_run d.sif '/.*/d\.sif' "$(sum d.sif)" 0
done
for record in "$records"/*; do sed -i "s/^sha256:.*/$other/" "$record" && chmod 666 "$record"; done
: >events
ok singularity exec d.sif true
heard before_run d.sif '/.*/d\.sif' "$(sum d.sif)" 0
printf 'plugins: [{manifest: %s}]\n' "$HOOK" >"$ETC/plugins.d/50-hook.yaml"

check "before_push, and nothing is sent when it is forbidden"
: >events
oras=oras://$OPEN/lab/image:1
ok singularity push --no-https p.sif "$oras"
heard before_push "$oras" 'p\.sif' "sha256:$(sha256sum p.sif | cut -d ' ' -f 1)" 0
forbid 'lab/secret'
run singularity push --no-https p.sif "oras://$OPEN/lab/secret:1"
expect_failure
expect_err "this site does not allow 'lab/secret'"
expect_err "ask the site's administrator"
[ ! -e "$T/open/docker/registry/v2/repositories/lab/secret" ] || fail "something was sent"

check "a veto stops what would come next: after resolved, nothing is fetched"
upload full.oci:latest "$OPEN/lab/secret:latest"
for words in "pull --no-https no.sif" "build --no-https no.sif" "exec --no-https"; do
    : >events
    # shellcheck disable=SC2086 # words
    case $words in exec*) run singularity $words "docker://$OPEN/lab/secret" true ;; *) run singularity $words "docker://$OPEN/lab/secret" ;; esac
    expect_failure
    expect_err "this site does not allow 'lab/secret'"
    expect_equal "$(events)" "resolved "
    expect_absent no.sif
done
check "a veto by path stops a build and a run"
forbid 'no.sif'
run singularity build no.sif "oci:$IMAGES/tiny.oci"
expect_failure
expect_absent no.sif
cp p.sif xno.sif
: >events
run singularity exec xno.sif true
expect_failure
expect_equal "$(events)" "before_run "

check "what is over cannot be forbidden: a warning"
sed "s#events: .*#events: [built, ended]#; s#^object: #object: $(dirname "$HOOK")/#" "$HOOK" >late.yaml
printf 'plugins: [{manifest: %s}]\n' "$T/w/late.yaml" >"$ETC/plugins.d/50-hook.yaml"
chmod 755 "$T/w"
run singularity build no.sif "oci:$IMAGES/tiny.oci"
expect_rc 0
expect_err "WARNING: hook veto: this site does not allow 'no\.sif'"
run singularity exec xno.sif sh -c 'exit 3'
expect_rc 3
expect_err "WARNING: hook veto: "

check "without a hook that waits for the end, the caller's process is the container"
rm "$ETC/plugins.d/50-hook.yaml" "$ETC/conf.d/50-hook.yaml"
start log singularity exec p.sif sh -c 'echo ready; exec sleep 50'
until_says log ready
expect_equal "$(tr '\0' ' ' <"/proc/$PID/cmdline")" "sleep 50 "
kill "$PID"
ended
stop_servers
finish
