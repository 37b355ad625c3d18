# Containers of one user and image share one file system server: who does, what stays apart, what its death does.
. "$(dirname "$0")/../support/lib.sh"
need_root
[ "$FUSE_FOR_USERS" = yes ] || skip "needs /dev/fuse for ordinary users"
user_namespaces || skip "needs user namespaces"
export SINGULARITY_MOUNT_LINGER=2 SETTLE=20
WHO=user

ok singularity build full.sif "oci:$IMAGES/full.oci"
chmod 755 full.sif
I=$PWD/full.sif
# The device number of the image's mount, which tells servers apart.
device() { run me singularity exec "$@" "$I" stat -c %d /; expect_rc 0; }
pids() { for p in /proc/[0-9]*; do [ "$(cat "$p/comm" 2>/dev/null)" = singularity-fs ] && echo "${p#/proc/}"; done; }

check "one command after another finds the same server, which ends after the last"
device; A=$OUT
device; expect_equal "$OUT" "$A"
expect_equal "$(pids | wc -l)" 2
expect_nothing_left
expect_equal "$(pids | wc -l)" 0

check "another primary process, option or mount point"
device; A=$OUT
device --env X=1 --cleanenv; expect_equal "$OUT" "$A"
device --pid; expect_equal "$OUT" "$A"
device --bind "$T/w:/somewhere/else"; [ "$OUT" != "$A" ] || fail "another mount point was shared"
SINGULARITY_MOUNT_LINGER=0 device; [ "$OUT" != "$A" ] || fail "linger 0 was shared"

check "each has its own binds, environment and working directory"
mkdir "$T/w/one" "$T/w/two"; echo first >"$T/w/one/f"; echo second >"$T/w/two/f"; chmod -R a+rX "$T/w/one" "$T/w/two"
start "$T/out1" me singularity exec --bind "$T/w/one:/data" --env N=1 "$I" sh -c 'cat /data/f; echo $N; echo ready; sleep 2; cat /data/f; grep -c /data /proc/self/mountinfo'
P1=$PID
until_says "$T/out1" ready
run me singularity exec --bind "$T/w/two:/data" --env N=2 --pwd /data "$I" sh -c 'cat f; echo $N; pwd'
expect_equal "$OUT" "$(printf 'second\n2\n/data')"
PID=$P1; ended; expect_rc 0
expect_equal "$(cat "$T/out1")" "$(printf 'first\n1\nready\nfirst\n1')"

check "mounts that the host makes in between are seen by the next"
device
mkdir -p "$T/w/later"; mount -t tmpfs later "$T/w/later"; echo there >"$T/w/later/f"; chmod 755 "$T/w/later"
run me singularity exec --bind "$T/w" "$I" cat "$T/w/later/f"
expect_equal "$OUT" there
umount "$T/w/later"

check "exit codes, signals and a crash stay the one's own"
run me singularity exec "$I" status 42; expect_rc 42
start "$T/out2" me singularity exec "$I" sh -c 'echo ready; exec sleep 30'
P2=$PID; until_says "$T/out2" ready
start "$T/out3" me singularity exec "$I" sh -c 'echo ready; sleep 1; ls / >/dev/null && echo well'
until_says "$T/out3" ready
kill -KILL $P2
ended; expect_rc 0
grep -q well "$T/out3" || fail "the other one suffered"
PID=$P2; ended; expect_rc 137

check "the server of a container that is bound to one processor may use them all, as it serves others too"
expect_nothing_left
own=$(sed -n 's/^Cpus_allowed_list:.//p' /proc/$$/status)
start "$T/out4" me taskset -c "${own%%[-,]*}" singularity exec "$I" sh -c 'echo ready; sleep 30'
P4=$PID; until_says "$T/out4" ready
run me singularity exec "$I" true; expect_rc 0
for ((i = 0; i < 200; i++)); do # the one that waits for a request hears of it with the next
    run me singularity exec "$I" cat "/no/such/name/$i"
    set -- $(for p in $(pids); do sed -n 's/^Cpus_allowed_list:.//p' "/proc/$p"/task/*/status; done | sort -u)
    [ "$*" = "$own" ] && break
done
expect_equal "$*" "$own"
kill -KILL "$P4"; PID=$P4; ended

check "who only looks whether the server is there does not keep it"
expect_nothing_left
cp full.sif first.sif; chmod 755 first.sif
run me singularity exec "$PWD/first.sif" true
for i in $(seq 40); do # each first start of an image looks at the servers that there are
    kept=$(pids | grep -c .)
    cp full.sif "next.$i.sif"; chmod 755 "next.$i.sif"
    run me singularity exec "$PWD/next.$i.sif" true
    first=$(for p in $(pids); do tr '\0' ' ' <"/proc/$p/cmdline"; echo; done | grep -c first.sif)
    [ "$first" != 0 ] || break
    sleep 0.3
done
expect_equal "$first" 0 "servers of the first image, $kept in all"

check "small files are read by several at once, and files that have two names in a directory"
expect_nothing_left
ok singularity build --sandbox linked full.sif
mkdir linked/small
for i in $(seq 200); do echo "file $i" >"linked/small/f$i"; ln "linked/small/f$i" "linked/small/g$i"; done
ok singularity build linked.sif linked
chmod 755 linked.sif
run me singularity exec "$PWD/linked.sif" sh -c 'ls -l /small >/tmp/listed.$$; rm /tmp/listed.$$
    for i in 1 2 3 4; do cat /small/* | wc -l & find /small -type f | sort -r | xargs cat | wc -l & done; wait'
expect_rc 0
expect_equal "$(grep -c '^ *400$' "$T/out")" 8

check "an image that is replaced is not the old one any more"
cp full.sif copy.sif; chmod 755 copy.sif
run me singularity exec "$PWD/copy.sif" stat -c %d /; A=$OUT
cp full.sif copy.new; chmod 755 copy.new; mv copy.new copy.sif
run me singularity exec "$PWD/copy.sif" stat -c %d /
[ "$OUT" != "$A" ] || fail "the replaced image was served"

check "the death of the server is said once to each, and the next start makes a new one"
expect_nothing_left
touch "$T/out5"; chmod 666 "$T/out5" # as a terminal or pipe of the user's own would be
start "$T/out5" me singularity exec "$I" sh -c 'echo ready; sleep 5; exit 3'
P5=$PID; until_says "$T/out5" ready
# The keeper is older than the server.
kill -KILL "$(pids | sort -n | tail -1)"
until_says "$T/out5" 'has ended'
expect_equal "$(grep -c '^FATAL:   The server of this' "$T/out5")" 1
run me singularity exec "$I" echo again; expect_rc 0; expect_equal "$OUT" again
PID=$P5; ended

check "a keeper that is killed hurts no container, and the next start makes a new one"
start "$T/out6" me singularity exec "$I" sh -c 'echo ready; sleep 2; ls /bin >/dev/null && echo well'
P6=$PID; until_says "$T/out6" ready
for p in $(pids); do grep -q '^Threads:.1$' "/proc/$p/status" && kill -KILL "$p"; done
run me singularity exec "$I" echo again; expect_rc 0
PID=$P6; ended; expect_rc 0
grep -q well "$T/out6" || fail "the container suffered"

check "sixteen at once"
for i in $(seq 16); do me singularity exec "$I" sh -c 'stat -c %d /; ls /bin >/dev/null || echo broken' >"$T/many.$i" 2>&1 & done
wait
expect_equal "$(sort -u "$T"/many.* | wc -l)" 1 "one file system for all"

expect_nothing_left
finish
