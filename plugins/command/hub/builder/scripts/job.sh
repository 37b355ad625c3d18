#!/bin/sh
# One build: sh job.sh DIRECTORY [CONTROL GROUP] (job.hpp)
cd "$1" || exit 1
[ -z "${2:-}" ] || echo $$ >"$2/cgroup.procs" || exit 1
. ./settings
umask 022
say() { echo "$*" >&2; }

build() {
    # A limit on processes counts for all of this user; inside it counts again.
    set -- prlimit --core=0 --nproc=$((processes + 1024)) --fsize="$disk" \
        unshare $user_namespace --mount --pid --fork --kill-child --mount-proc --net --ipc --uts
    env -i PATH="$PATH" LC_ALL=C.UTF-8 HOME="$PWD/home" "$@" sh "$PWD/inside.sh" "$PWD" &
    pid=$!
    slirp=
    if [ "$network" = internet ]; then
        until [ -e unshared ] || ! kill -0 $pid 2>/dev/null; do sleep 0.02; done
        slirp4netns --configure --mtu=65520 --disable-host-loopback --ready-fd=3 $pid tap0 3>network >slirp.log 2>&1 &
        slirp=$!
        until [ -s network ] || ! kill -0 $pid 2>/dev/null; do
            kill -0 $slirp 2>/dev/null || {
                say "ERROR:   the builder has no network: slirp4netns failed: $(cat slirp.log)"
                kill $pid
                break
            }
            sleep 0.02
        done
    fi
    wait $pid
    status=$?
    [ -z "$slirp" ] || { kill $slirp && wait $slirp; } 2>/dev/null
    return $status
}

# No byte of the log is written by what is inside: it has a pipe, and what is too much of it is dropped.
{
    build
    echo $? >status.new
} 2>&1 | {
    trap '' XFSZ
    prlimit --fsize="$log_bytes" cat 2>/dev/null || {
        echo
        if [ "$(stat -c %s log)" -ge "$log_bytes" ]; then
            echo "WARNING: the log is longer than $log_bytes bytes: the rest is left out"
        else
            echo "WARNING: the log cannot be written, as on a full disk: something is left out"
        fi
        cat >/dev/null
    }
} >>log
mv status.new status
