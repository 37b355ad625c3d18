#!/bin/bash
# One cache for several hosts, on a file system as networks have it: no file locks, no unnamed files, names and attributes
# that are believed for 30 seconds. A host is a mount of its own in PID and UTS namespaces of its own.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/registry.sh"
need_root
need_tool docker-registry python3 gcc pkg-config faketime busybox
[ "$FUSE_FOR_USERS" = yes ] || skip "no FUSE here"
pkg-config --exists fuse3 || skip "needs libfuse3-dev"
# shellcheck disable=SC2046
gcc -Wall -Werror -O1 "$SUPPORT/stale-fs.c" -o "$T/stale-fs" $(pkg-config --cflags --libs fuse3) || { fail "stale-fs.c"; finish; }

mkdir "$T/disk" "$T/site" "$T/view.a" "$T/view.b"
for v in a b; do
    "$T/stale-fs" "$T/disk" "$T/view.$v" 30 &
    for _ in $(seq 200); do mountpoint -q "$T/view.$v" && break; sleep 0.05; done
    mountpoint -q "$T/view.$v" || { fail "the file system of the test is not there"; finish; }
done
export SINGULARITY_NOHTTPS=1
# another_cache: an empty one; hosts would believe in one that was removed behind their backs. C is what lies on the disk.
another_cache() {
    CACHES=$((${CACHES:-0} + 1))
    export SINGULARITY_CACHEDIR=$T/site/$CACHES
    C=$T/disk/$CACHES/cache
}

# host VIEW NAME COMMAND...: on a host of that name; a view a is this machine (its boot), a view b another one.
printf '0f0f0f0f-1111-2222-3333-444444444444\n' >"$T/boot.b"
host() {
    local view=$1 name=$2
    shift 2
    # shellcheck disable=SC2016
    exec unshare --mount --pid --uts --fork --kill-child=KILL --mount-proc --propagation private bash -c '
        hostname "$1"; mount --bind "$2" "$3" || exit 99
        [ ! -e "$4" ] || mount --bind "$4" /proc/sys/kernel/random/boot_id || exit 99
        shift 4; exec "$@"' - "$name" "$T/view.$view" "$T/site" "$T/boot.$view" "$@"
}
# all_of PID: it and what it started.
all_of() {
    local p
    echo "$1"
    for p in $(cat /proc/"$1"/task/*/children 2>/dev/null); do all_of "$p"; done
}
# shellcheck disable=SC2046
signal() { kill -"$1" $(all_of "$2") 2>/dev/null; }
until_true() { # SENTENCE COMMAND...
    local i
    for ((i = 0; i < 600; i++)); do
        "${@:2}" && return
        sleep 0.05
    done
    fail "$1 did not come to pass"
}
has_lease() { [ -n "$(find "$C/leases" -name 'image-*' ! -name '*.*' -size +0 2>/dev/null)" ]; }
is_waiting() { grep -q 'Waiting for another process' "$1"; }

clean() { # IMAGES: nothing unfinished, everything what its name says, and all images listed
    expect_equal "$(find "$C/tmp" "$C/leases" -type f)" "" "left in the cache"
    (cd "$C/oci/blobs/sha256" && sha256sum -- * | awk '$1 != $2 {print}') | grep . && fail "a damaged blob"
    expect_equal "$(jq '.manifests | length' "$C/oci/index.json")" "$1" "images listed"
    find "$C" -name '*.sif' | while read -r f; do singularity sif list "$f" >/dev/null || echo "$f"; done | grep . && fail "a broken image"
}

# What one that was killed left may be of a living process as far as another host can tell: it goes when it is a day old.
a_day_later() {
    find "$C/tmp" "$C/leases" -type f -exec touch -d '2 days ago' {} +
    run env SINGULARITY_CACHEDIR="$T/disk/$CACHES" singularity cache clean -f -D 9999
    expect_rc 0
}

start_registry real && REAL=127.0.0.1:$PORT
python3 "$SUPPORT/push_image.py" "http://$REAL" lab/one:latest --layers 2 --size 200000 >"$T/pushed"
# slow RULE: a server before the registry that answers one request for a large blob in that manner; sets SLOW.
slow() {
    SERIAL=$((${SERIAL:-0} + 1))
    echo "[{\"match\": \"/blobs/\", \"method\": \"GET\", \"times\": 2, $1}]" >"$T/slow$SERIAL.json"
    start_script "slow$SERIAL" python3 "$SUPPORT/faulty-server.py" --table "$T/slow$SERIAL.json" --upstream "http://$REAL" --log "$T/slow$SERIAL.log"
    SLOW=docker://127.0.0.1:$PORT/lab/one
    another_cache
}
runs=(singularity exec)
said=(/bin/sh -c "echo ran")
started() { # PLACE COMMAND...: in the background; sets PID
    local place=$1
    shift
    "$@" >"$T/out.$place" 2>"$T/err.$place" </dev/null &
    PID=$!
}
survived() { # PLACE PID
    wait "$2"
    local code=$?
    [ $code = 0 ] && [ "$(cat "$T/out.$1")" = ran ] || { fail "$1 ended with $code"; head -c 2000 "$T/err.$1"; }
}

check "one fetches, those of other hosts wait and show how far it is"
slow '"do": "trickle", "n": 8000, "delay": 0.1'
started first host a north "${runs[@]}" "$SLOW" "${said[@]}"; first=$PID
until_true "a lease" has_lease
kill -STOP "${SERVERS[-1]}" # until the others are seen to wait
started second host a east "${runs[@]}" "$SLOW" "${said[@]}"; second=$PID
started third host b south "${runs[@]}" "$SLOW" "${said[@]}"; third=$PID
until_true "waiting is told" is_waiting "$T/err.second"
until_true "waiting is told" is_waiting "$T/err.third"
kill -CONT "${SERVERS[-1]}"
survived first $first; survived second $second; survived third $third
expect_equal "$(cat "$T"/err.* | grep -c 'Image cached')" 1 "conversions"
expect_equal "$(grep -o '"target": "[^"]*/blobs/[^"]*"' "$T/slow$SERIAL.log" | sort | uniq -d)" "" "blobs that were asked for twice"
expect_equal "$(grep -c '"target": "[^"]*/manifests/latest' "$T/slow$SERIAL.log")" 1 "questions what the tag means"
clean 1

check "who dies is replaced by one of its own host"
slow '"do": "stall", "at": 1000'
started first host a north "${runs[@]}" "$SLOW" "${said[@]}"; first=$PID
until_true "a lease" has_lease
started second host a east "${runs[@]}" "$SLOW" "${said[@]}"; second=$PID
started third host a west "${runs[@]}" "$SLOW" "${said[@]}"; third=$PID
until_true "waiting is told" is_waiting "$T/err.second"
until_true "waiting is told" is_waiting "$T/err.third"
signal KILL $first
survived second $second; survived third $third
expect_equal "$(cat "$T"/err.{second,third} | grep -c 'Image cached')" 1 "conversions"
expect_equal "$(find "$C/leases" -type f)" "" "leases left"
a_day_later
clean 1

check "who dies is replaced by one of another host, whose clock runs by itself"
slow '"do": "stall", "at": 1000'
started first host a north "${runs[@]}" "$SLOW" "${said[@]}"; first=$PID
until_true "a lease" has_lease
# A minute there is a few seconds here.
started second host b east faketime -f '+0 x12' "${runs[@]}" "$SLOW" "${said[@]}"; second=$PID
until_true "waiting is told" is_waiting "$T/err.second"
signal KILL $first
survived second $second
expect_equal "$(find "$C/leases" -type f)" "" "leases left"
a_day_later
clean 1

check "an owner that was paused and wakes after it was replaced does no harm"
slow '"do": "trickle", "n": 8000, "delay": 0.1'
started first host a north "${runs[@]}" "$SLOW" "${said[@]}"; first=$PID
until_true "a lease" has_lease
signal STOP $first
started second host a east "${runs[@]}" "$SLOW" "${said[@]}"; second=$PID
survived second $second
signal CONT $first
survived first $first
clean 1
for f in "$C"/oci-tmp/*/*.sif; do cp "$f" "$T/paused.sif"; done
ok singularity build --disable-cache "$T/alone.sif" "$SLOW"
expect_same_file "$T/paused.sif" "$T/alone.sif"

check "no image is lost from the list that two hosts write at the same time"
another_cache
for i in 1 2 3 4 5 6; do python3 "$SUPPORT/push_image.py" "http://$REAL" "lab/n$i:latest" --base "$i" >/dev/null; done
pids=()
for i in 1 2 3 4 5 6; do
    view=a
    [ $((i % 2)) = 0 ] || view=b
    started "p$i" host $view "h$i" singularity pull "$T/n$i.sif" "docker://$REAL/lab/n$i"
    pids+=("$PID")
done
for p in "${pids[@]}"; do wait "$p" || { fail "a pull failed"; cat "$T"/err.p*; }; done
clean 6
finish
