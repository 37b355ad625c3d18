# Process 1 of the build's PID namespace, root of its user namespace (job.hpp): sh inside.sh DIRECTORY
# What is in the container has namespaces below these: it has no number for a process out here, and cannot end the watch.
cd "$1" || exit 1
. ./settings
trap 'exit 137' TERM
mapping=
if [ "$subordinate_ids" = yes ]; then
    # The ids that this namespace has, in the words of the namespace.
    mount --bind subordinate_ids /etc/subuid && mount --bind subordinate_ids /etc/subgid || exit 1
    mapping=--fakeroot
fi
: >unshared
[ "$network" = none ] || until [ -s network ]; do sleep 0.02; done

fuse=
[ ! -e /dev/fuse ] || fuse="--bind /dev/fuse"
prlimit --nproc="$processes" ${address_space:+--as="$address_space"} "$program" exec $mapping --containall --no-home \
    --no-mount tmp,cwd,sys,bind-paths --overlay "$PWD/root" --bind "$PWD/build:/build" --bind "$PWD/resolv.conf:/etc/resolv.conf" $fuse ${context:+--bind "$context:/context:ro"} \
    --pwd /build "$image" /bin/sh /build/container.sh &
container=$!

over() {
    trap - EXIT
    echo "ERROR:   $*" >&2
    kill -TERM $$
    exit 1
}
# A shell that may make no process ends, and so does the build.
(
    trap 'over "the build ended: it had all of the $processes processes that it may have"' EXIT
    end=$(($(date +%s) + seconds))
    while sleep 1; do
        [ "$(date +%s)" -lt $end ] || over "the build ended: it took longer than $seconds seconds"
        used=$(cat /proc/[0-9]*/statm 2>/dev/null | awk '{ pages += $2 - $3 } END { printf "%d", pages * '"$page"' / 1048576 }')
        [ "${used:-0}" -le $((memory / 1048576)) ] || over "the build ended: it had more than $((memory / 1048576)) MiB of memory"
        free=$(awk '/^MemTotal/ { all = $2 } /^MemAvailable/ { free = $2 } END { printf "%d", 100 * free / all }' /proc/meminfo)
        [ "${free:-100}" -ge 3 ] || over "the build ended: the machine has no memory left"
        free=$(stat -f -c '%a %S' . | awk '{ printf "%d", $1 * $2 / 1048576 }')
        [ "${free:-1024}" -ge 256 ] || over "the build ended: the builder's disk is full"
    done
) &
(
    trap 'over "the build ended: it had all of the $processes processes that it may have"' EXIT
    while sleep 1; do
        used=$(du -skx build root | awk '{ all += $1 } END { printf "%d", all }')
        [ "${used:-0}" -le $((disk / 1024)) ] || over "the build ended: it had more than $((disk / 1048576)) MiB on the disk"
    done
) &
wait $container
exit $?
