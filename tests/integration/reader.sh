# Who reads an image where the kernel could: mount.reader; and root's containers that share a loop device.
. "$(dirname "$0")/../support/lib.sh"
need_root
ok singularity build full.sif "oci:$IMAGES/full.oci"
chmod 755 full.sif
I=$PWD/full.sif

check "a wrong word is refused with those that there are"
SINGULARITY_MOUNT_READER=both run singularity exec "$I" true
expect_failure 1
expect_err 'auto, kernel, fuse'

kernel_reads=no
mkdir m
offset=$(singularity sif list "$I" | awk -F'|' '/Squashfs/ {print $4 + 0}')
mount -t squashfs -o "loop,ro,offset=$offset" "$I" m 2>/dev/null && umount m && kernel_reads=yes
[ $kernel_reads = yes ] || note "the kernel mounts no squashfs here"

check "root's image is read as the setting says"
run env SINGULARITY_MOUNT_READER=fuse singularity exec --no-mount home,tmp,cwd "$I" sh -c 'grep -c " fuse.singularity " /proc/self/mountinfo'
expect_rc 0
expect_equal "$OUT" 1
if [ $kernel_reads = yes ]; then
    for reader in kernel auto; do
        run env SINGULARITY_MOUNT_READER=$reader singularity exec --no-mount home,tmp,cwd "$I" sh -c 'grep -c " fuse.singularity " /proc/self/mountinfo'
        expect_equal "$OUT" 0 "$reader"
    done
fi
expect_nothing_left

check "the same tree, exit codes and end by a signal with either reader"
for reader in kernel fuse; do
    export SINGULARITY_MOUNT_READER=$reader
    singularity exec --no-mount home,tmp,cwd "$I" sh -c 'ls -lnR /bin /usr /lib; cat /bin/* | wc -c' 2>/dev/null | grep -v '^total\|^d' >"$T/tree.$reader"
    run singularity exec "$I" sh -c 'exit 42'; expect_rc 42
    run singularity exec "$I" sh -c 'kill -TERM $$'; expect_rc 143
    unset SINGULARITY_MOUNT_READER
done
[ -s "$T/tree.kernel" ] || fail "an empty tree"
cmp -s "$T/tree.kernel" "$T/tree.fuse" || fail "the trees differ: $(diff "$T/tree.kernel" "$T/tree.fuse" | head -5)"
expect_nothing_left

WHO=user
if [ "$FUSE_FOR_USERS" = yes ] && user_namespaces; then
    check "an ordinary user has the server whatever the setting says"
    for reader in auto kernel fuse; do
        run me env SINGULARITY_MOUNT_READER=$reader singularity exec "$I" sh -c 'grep -c " fuse.singularity " /proc/self/mountinfo'
        expect_rc 0
        expect_equal "$OUT" 1 "$reader"
    done
    expect_nothing_left
fi
WHO=root

if [ $kernel_reads = yes ]; then
    check "root's containers of one image share a loop device, which goes with the last"
    PIDS=()
    for i in 1 2 3; do
        mkfifo "go.$i"
        start "$T/out.$i" singularity exec --bind "$T/w:/data$i" "$I" sh -c "echo ready; read line </data$i/go.$i; echo well"
        PIDS[i]=$PID
    done
    for i in 1 2 3; do until_says "$T/out.$i" ready; done
    expect_equal "$(loops | wc -l)" 1
    kill -KILL "${PIDS[1]}"; PID=${PIDS[1]}; ended; expect_rc 137
    expect_equal "$(loops | wc -l)" 1 "after one has ended"
    for i in 2 3; do
        echo >"go.$i"
        PID=${PIDS[i]}; ended; expect_rc 0
        grep -q well "$T/out.$i" || fail "container $i suffered"
    done
    expect_nothing_left

    check "an image that was written to in between gets a device of its own"
    mkfifo go.4
    start "$T/out.4" singularity exec --bind "$T/w:/data" "$I" sh -c 'echo ready; read line </data/go.4'
    P4=$PID; until_says "$T/out.4" ready
    chmod 750 "$I"
    mkfifo go.5
    start "$T/out.5" singularity exec --bind "$T/w:/data" "$I" sh -c 'echo ready; read line </data/go.5'
    P5=$PID; until_says "$T/out.5" ready
    expect_equal "$(loops | wc -l)" 2
    echo >go.4; PID=$P4; ended; expect_rc 0
    echo >go.5; PID=$P5; ended; expect_rc 0
    chmod 755 "$I"
    expect_nothing_left
fi
finish
