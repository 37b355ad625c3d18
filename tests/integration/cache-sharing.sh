#!/bin/bash
# Many processes and one cache: one fetches, the rest wait; whoever is killed is replaced.
. "$(dirname "$0")/../support/lib.sh"
need_root
own_prefix
manifest=$(find "$PREFIX" -path '*/oci/plugin.yaml')
sed -i 's/^      scheme: oci$/&\n      remote: yes/' "$manifest"
cp -r "$IMAGES/tiny.oci" "$T/server"
SERVER=oci:$T/server
C=$HOME/.singularity/cache
TOGETHER=${SG_TOGETHER:-12} ROUNDS=${SG_ROUNDS:-4}

clean() { # nothing unfinished, everything what its name says
    expect_equal "$(find "$C/tmp" "$C/leases" -type f)" "" "left in the cache"
    (cd "$C/oci/blobs/sha256" && sha256sum -- * | awk '$1 != $2 {print}') | grep . && fail "a damaged blob"
    python3 -c 'import json,sys; assert len(json.load(open(sys.argv[1]))["manifests"]) == 1' "$C/oci/index.json" || fail "index.json is wrong"
    find "$C/oci-tmp" -name '*.sif' | while read -r f; do singularity sif list "$f" >/dev/null || echo "$f"; done | grep . && fail "a broken image"
}

check "of $TOGETHER processes one fetches and converts"
for i in $(seq "$TOGETHER"); do
    singularity exec "$SERVER" /bin/sh -c "echo ran" >"$T/out.$i" 2>"$T/err.$i" &
done
wait
expect_equal "$(cat "$T"/out.* | sort | uniq -c | tr -s ' ')" " $TOGETHER ran"
expect_equal "$(cat "$T"/err.* | grep -c 'Image cached')" 1 "conversions"
expect_equal "$(cat "$T"/err.* | grep 'Copying blob' | sort | uniq -d)" "" "blobs that were fetched twice"
clean

check "of $TOGETHER pulls each blob is fetched by one"
rm -rf "$C"
for i in $(seq "$TOGETHER"); do
    singularity pull "p$i.sif" "$SERVER" >"$T/out.$i" 2>"$T/err.$i" || touch "$T/failed"
done &
wait
expect_absent "$T/failed"
expect_equal "$(cat "$T"/err.* | grep 'Copying blob' | sort | uniq -d)" "" "blobs that were fetched twice"
for i in $(seq 2 "$TOGETHER"); do expect_same_file p1.sif "p$i.sif"; done
rm -f p*.sif

SG_SEED=${SG_SEED:-$(od -An -N2 -tu2 /dev/urandom | tr -d " ")}
RANDOM=$SG_SEED
note "seed $SG_SEED"
for round in $(seq "$ROUNDS"); do
    check "round $round: some of $TOGETHER are killed, every survivor runs"
    rm -rf "$C" "$T"/out.* "$T"/err.* "$T"/rc.*
    pids=() doomed=()
    for i in $(seq "$TOGETHER"); do
        (
            singularity exec "$SERVER" /bin/sh -c "echo ran" >"$T/out.$i" 2>"$T/err.$i"
            echo $? >"$T/rc.$i"
        ) &
        pids+=($!)
    done
    for i in $(seq $((TOGETHER / 3))); do
        sleep 0.0$((RANDOM % 10))
        victim=${pids[$((RANDOM % TOGETHER))]}
        # The program (and the child that fetches for it), not the shell around it.
        for p in $(cat "/proc/$victim/task/$victim/children" 2>/dev/null); do kill -KILL "$p" 2>/dev/null; done
    done
    wait
    for i in $(seq "$TOGETHER"); do
        code=$(cat "$T/rc.$i")
        if [ "$code" = 137 ]; then continue; fi
        [ "$code" = 0 ] && [ "$(cat "$T/out.$i")" = ran ] || { fail "a survivor failed with $code"; cat "$T/err.$i"; }
    done
    # Whatever the killed left is put right by the next one.
    ok singularity exec "$SERVER" /bin/sh -c true
    rm -rf "$C/oci-tmp"
    ok singularity exec "$SERVER" /bin/sh -c true
    clean
done

if command -v strace >/dev/null && strace -e trace=none true 2>/dev/null; then
    check "without any file lock the same holds"
    rm -rf "$C" "$T"/out.* "$T"/err.*
    for i in 1 2 3 4; do
        strace -f -qq -o /dev/null -e trace=flock -e inject=flock:error=ENOLCK \
            singularity exec "$SERVER" /bin/sh -c "echo ran" >"$T/out.$i" 2>"$T/err.$i" &
    done
    wait
    expect_equal "$(cat "$T"/out.* | sort | uniq -c | tr -s ' ')" " 4 ran"
    expect_equal "$(cat "$T"/err.* | grep -c 'Image cached')" 1 "conversions"
    clean
else
    note "no strace here: not tried without file locks"
fi

check "a process of another PID namespace that dies is replaced within seconds"
rm -rf "$C"
mkdir -p "$C/leases"
chmod -R 700 "$HOME/.singularity"
# A lease of somebody in another namespace of this host, who beats no more.
area=oci-tmp
boot=$(cat /proc/sys/kernel/random/boot_id)
singularity exec "$SERVER" /bin/sh -c true & pid=$!
for i in $(seq 200); do lease=$(find "$C/leases" -name 'image-*' ! -name '*.*' 2>/dev/null | head -n 1); [ -n "$lease" ] && break; sleep 0.01; done
wait $pid
if [ -n "$lease" ]; then
    rm -rf "$C/oci-tmp" "$C/oci"
    mkdir -p "$C/leases"
    printf '%s.1.77.12345-0123456789abcdef 5 0 0\n' "$boot" >"$lease"
    run timeout 20 singularity exec "$SERVER" /bin/sh -c 'echo ran'
    expect_rc 0
    expect_out '^ran$'
    clean
else
    note "the lease was too short to be seen"
fi
finish
