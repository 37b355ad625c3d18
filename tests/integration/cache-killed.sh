#!/bin/bash
# Rounds of many simultaneous starts from a registry of which some are killed at any moment: every survivor is right, and
# the cache is clean. SG_LONG=1: 100 rounds of 32.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/registry.sh"
need_root
need_tool docker-registry python3 busybox
if [ -n "${SG_LONG:-}" ]; then TOGETHER=32 ROUNDS=100; else TOGETHER=8 ROUNDS=3; fi
TOGETHER=${SG_TOGETHER:-$TOGETHER} ROUNDS=${SG_ROUNDS:-$ROUNDS}
C=$HOME/.singularity/cache
export SINGULARITY_NOHTTPS=1
start_registry real && URL=docker://127.0.0.1:$PORT/lab/one
python3 "$SUPPORT/push_image.py" "http://127.0.0.1:$PORT" lab/one:latest --layers 4 --size 300000 >/dev/null

clean() { # nothing unfinished, everything what its name says
    expect_equal "$(find "$C/tmp" "$C/leases" -type f; find "$C" -name '.*partial*')" "" "left in the cache"
    (cd "$C/oci/blobs/sha256" && sha256sum -- * | awk '$1 != $2 {print}') | grep . && fail "a damaged blob"
    expect_equal "$(jq '.manifests | length' "$C/oci/index.json")" 1 "images listed"
    for f in "$C"/oci-tmp/*/*.sif; do cmp -s "$f" "$T/alone.sif" || fail "$f is not the image"; done
}
all_of() {
    local p
    echo "$1"
    for p in $(cat /proc/"$1"/task/*/children 2>/dev/null); do all_of "$p"; done
}
all_ended() { ! pgrep -x singularity >/dev/null; }
until_true() { # SENTENCE COMMAND...
    local i
    for ((i = 0; i < 600; i++)); do
        "${@:2}" && return
        sleep 0.05
    done
    fail "$1 did not come to pass"
}
start_one() { # PLACE
    singularity exec "$URL" /bin/sh -c 'cat /arch' >"$T/out.$1" 2>"$T/err.$1" &
}

ok singularity build --disable-cache "$T/alone.sif" "$URL"
began=$(date +%s%3N)
ok singularity exec "$URL" /bin/sh -c true
one=$(($(date +%s%3N) - began)) # ms that a start takes here and now: kills come within a few of them
SG_SEED=${SG_SEED:-$(od -An -N2 -tu2 /dev/urandom | tr -d " ")}
RANDOM=$SG_SEED
note "seed $SG_SEED, one start takes $one ms"
killed=0 survived=0
check "$ROUNDS rounds: some of $TOGETHER are killed, every survivor is right, and the cache is put right"
for round in $(seq "$ROUNDS"); do
    rm -rf "$C"
    pids=()
    for i in $(seq "$TOGETHER"); do start_one "$i"; pids+=($!); done
    for i in $(seq $((TOGETHER / 3))); do
        pause=$((RANDOM % (one / 2 + 1)))
        sleep "$((pause / 1000)).$(printf %03d $((pause % 1000)))"
        # The program, and often what it started: the child that fetches may be left alone, or die alone.
        read -ra family <<<"$(all_of "${pids[$((RANDOM % TOGETHER))]}" | tr '\n' ' ')"
        case $((RANDOM % 3)) in
        0) kill -KILL "${family[0]}" ;;
        1) kill -KILL "${family[-1]}" ;;
        2) kill -KILL "${family[@]}" ;;
        esac 2>/dev/null
    done
    for i in $(seq "$TOGETHER"); do
        wait "${pids[$((i - 1))]}" 2>/dev/null
        code=$?
        # Whose child was killed says so and fails.
        if [ $code = 137 ] || { [ $code = 255 ] && grep -q 'FATAL:.*\(killed\|signal\)' "$T/err.$i"; }; then
            killed=$((killed + 1))
            continue
        fi
        survived=$((survived + 1))
        [ $code = 0 ] && [ "$(cat "$T/out.$i")" = amd64 ] || { fail "round $round: a survivor ended with $code"; cat "$T/err.$i"; }
    done
    # A child whose parent was killed alone goes on and ends.
    until_true "the end of those left alone" all_ended
    # Whatever the killed left is put right by the next ones.
    ok singularity exec "$URL" /bin/sh -c true
    rm -rf "$C/oci-tmp"
    ok singularity exec "$URL" /bin/sh -c true
    clean
    [ $FAILURES = 0 ] || break
done
note "$killed killed, $survived survived"
[ $survived -gt 0 ] || fail "nobody survived"
finish
