# Each process that a container or a build of ours consists of, killed by SIGKILL, one at a time: nothing is left, no mount, no
# process, no directory, no loop device. For the kinds of containers whose file system server has no keeper, and builds.
. "$(dirname "$0")/../support/lib.sh"
need_root
need_tool mksquashfs

ok singularity build full.sif "oci:$IMAGES/full.oci"
mkdir -p data
echo datum >data/file
mksquashfs data data.sqfs -quiet -no-progress >/dev/null
chmod 755 full.sif data.sqfs
mkdir -m 1777 said
printf 'Bootstrap: localimage\nFrom: %s\n%%post\n    echo up\n    while :; do sleep 0.1; done\n' "$T/w/full.sif" >post.def
# With files of other ids where no other may remove them.
printf 'Bootstrap: localimage\nFrom: %s\n%%post\n    mkdir -p /of/others && echo x >/of/others/file && chown -R 5:6 /of && chmod 700 /of\n    echo up\n    while :; do sleep 0.1; done\n' "$T/w/full.sif" >ids.def
printf 'Bootstrap: localimage\nFrom: %s\n%%post\n    true\n' "$T/w/full.sif" >next.def
I=$T/w/full.sif SETTLE=20

# ours: the processes that run a program of the product, and first processes of containers, oldest first.
ours() {
    local p exe
    for p in $(ls /proc | grep -E '^[0-9]+$' | sort -n); do
        exe=$(readlink "/proc/$p/exe" 2>/dev/null) || continue
        case $exe in "$PREFIX"/*) echo "$p" ;; esac
    done
}
# each_killed NAME COMMAND...: once for each process of ours there is.
each_killed() {
    local name=$1 victim=0 pids=() rc
    shift # now $1 is `me` and $3 the verb
    while :; do
        rm -f "$T/w/said/go"
        baseline
        start "$T/up" "$@"
        until_says "$T/up" up || return
        mapfile -t pids < <(ours)
        [ $victim -lt ${#pids[@]} ] || break
        check "$name: $(tr '\0' ' ' <"/proc/${pids[victim]}/comm" 2>/dev/null)(process $((victim + 1)) of ${#pids[@]}) is killed"
        kill -KILL "${pids[victim]}"
        # What is still there ends when it is told to: a command by itself, a build by a signal.
        touch "$T/w/said/go"
        (sleep 2; kill -TERM "$PID" 2>/dev/null) &
        rc=$!
        ended
        kill $rc 2>/dev/null
        wait $rc 2>/dev/null
        # The directories of a build that was killed itself are removed by the next one.
        [ "$3" != build ] || { ok me singularity build --force next.sif "$T/w/next.def" && rm -f next.sif; }
        expect_nothing_left
        victim=$((victim + 1))
    done
    touch "$T/w/said/go"
    kill -TERM "$PID" 2>/dev/null
    ended
    note "$name: $victim processes"
    expect_nothing_left
}
loop='echo up; until [ -e /said/go ]; do sleep 0.1; done'

containers() {
    each_killed "a data image" me singularity exec -B "$T/w/said:/said" -B "$T/w/data.sqfs:/d:image-src=/" "$I" sh -c "$loop"
    each_killed "an overlay image, with a PID namespace" me singularity exec --pid -B "$T/w/said:/said" --overlay "$T/w/data.sqfs" "$I" sh -c "$loop"
    each_killed "a server of its own" me env SINGULARITY_MOUNT_LINGER=0 singularity exec -B "$T/w/said:/said" "$I" sh -c "$loop"
}
each_user containers
WHO=root
SINGULARITY_MOUNT_READER=fuse each_killed "root's image by FUSE" singularity exec -B "$T/w/said:/said" "$I" sh -c "$loop"
SINGULARITY_MOUNT_READER=fuse each_killed "root's image by FUSE, with limits of processes" singularity exec --containall -B "$T/w/said:/said" "$I" sh -c "$loop"

subordinate() {
    command -v newuidmap >/dev/null && [ -u "$(command -v newuidmap)" ] && user_namespaces && [ "$FUSE_FOR_USERS" = yes ] ||
        { note "no set-user-id newuidmap, or no FUSE for users"; return; }
    for f in subuid subgid; do
        echo "$USER_NAME:700000:65536" >"$T/$f"
        chmod 644 "$T/$f"
        [ -e /etc/$f ] || touch /etc/$f
        mount --bind "$T/$f" /etc/$f
    done
    # newuidmap needs the capabilities that a test's user usually is without.
    local words=("${USER_WORDS[@]}")
    USER_WORDS=(setpriv --reuid $USER_ID --regid $USER_ID --clear-groups --inh-caps=-all env "HOME=$USER_HOME" USER=$USER_NAME)
    WHO=user
    each_killed "subordinate ids" me singularity exec --fakeroot -B "$T/w/said:/said" "$I" sh -c "$loop"
    mkdir -m 1777 built
    cd built || return
    each_killed "a build with subordinate ids" me singularity build post.sif "$T/w/ids.def"
    check "what a killed build left of ids that can be mapped no more is told, with who can remove it"
    baseline
    start "$T/up" me singularity build post.sif "$T/w/ids.def"
    until_says "$T/up" up
    kill -KILL "$PID"
    ended
    local left
    left=$(ls -d "$T"/tmp/singularity-build-*)
    USER_WORDS=("${words[@]}")
    ok me singularity build --force next.sif "$T/w/next.def"
    expect_err "WARNING: +cannot remove $left/.*root can remove $left"
    USER_WORDS=(setpriv --reuid $USER_ID --regid $USER_ID --clear-groups --inh-caps=-all env "HOME=$USER_HOME" USER=$USER_NAME)
    ok me singularity build --force next.sif "$T/w/next.def"
    refuse_err "cannot remove"
    rm -f next.sif
    expect_nothing_left
    cd ..
    USER_WORDS=("${words[@]}")
    umount /etc/subuid /etc/subgid
}
subordinate

builds() {
    cd "$T/w" || return
    mkdir -p -m 1777 "by.$WHO"
    cd "by.$WHO" || return
    each_killed "a build" me singularity build post.sif "$T/w/post.def"
    expect_equal "$(ls -A)" "" "files of builds that were killed"
    check "a build leaves those alone that still run, also where it cannot see their processes"
    baseline
    start "$T/up" me singularity build post.sif "$T/w/post.def"
    until_says "$T/up" up
    local runs
    runs=$(ls -d "$T"/tmp/singularity-build-*)
    ok me singularity build --force next.sif "$T/w/next.def"
    [ "$WHO" = user ] || ok unshare --pid --fork --mount-proc singularity build --force next.sif "$T/w/next.def"
    expect_equal "$(ls -d "$T"/tmp/singularity-build-*)" "$runs"
    kill -TERM "$PID"
    ended
    rm -f next.sif
    expect_nothing_left
}
each_user builds
finish
