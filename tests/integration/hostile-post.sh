# What scripts of a definition may do to a build: nothing of it hangs, escapes or is left behind.
. "$(dirname "$0")/../support/lib.sh"

BASE=$IMAGES/full.oci:latest
LIMIT=120 MANY=5000
[ "${SG_LONG:-}" != 1 ] || LIMIT=600 MANY=1000000
definition() { # FILE: with %post from standard input
    printf 'Bootstrap: oci\nFrom: %s\n%%post\n' "$BASE" >"$1"
    sed 's/^/    /' >>"$1"
}

hostile() {
    [ $WHO = root ] || [ $FUSE_FOR_USERS = yes ] || { note "no FUSE for users"; return; }
    check "a %post that kills its parents fails, or ends by itself, and leaves nothing"
    definition kill.def <<'END'
kill -9 1
kill -9 $PPID
kill -9 -1
END
    run me singularity build kill.sif kill.def
    [ "$RC" = 0 ] || { expect_failure; expect_absent kill.sif; }

    check "processes that %post leaves, also those of sessions of their own, end with the build"
    definition many.def <<'END'
i=0
while [ $i -lt 60 ]; do
    setsid sleep 987654 &
    (setsid sh -c 'trap "" TERM HUP INT; while :; do sleep 987654; done' &)
    i=$((i + 1))
done
END
    run me singularity build many.sif many.def
    expect_rc 0

    check "directories of mode 000, and files that nobody may read, are in the image"
    definition closed.def <<'END'
mkdir -p /opt/closed/below
echo secret >/opt/closed/below/file
chmod 000 /opt/closed/below/file /opt/closed/below /opt/closed
chmod 000 /opt
END
    run me singularity build closed.sif closed.def
    expect_rc 0
    run me singularity build --sandbox --fix-perms closed.d closed.sif
    [ -f closed.d/opt/closed/below/file ] || [ $WHO = user ] || fail "what lies below mode 000 is missing"

    check "very many files in one directory"
    definition files.def <<END
mkdir /opt/many
cd /opt/many
set +x
i=0
while [ \$i -lt $MANY ]; do : >f\$i; i=\$((i + 1)); done
END
    run me singularity build files.sif files.def
    expect_rc 0
    run me singularity exec files.sif sh -c 'ls /opt/many | wc -l'
    expect_equal "$OUT" $MANY
    rm -f files.sif

    check "a %post that forks for ever ends by Ctrl-C, and so does all that it started"
    definition forks.def <<'END'
set +x
i=0
while :; do
    setsid sleep 987654 &
    i=$((i + 1))
    [ $i != 100 ] || echo 'a hundred'
    [ $i -lt 100 ] || sleep 0.01
done
END
    start log me singularity build forks.sif forks.def
    until_says log 'a hundred'
    kill -INT "$PID"
    ended
    [ "$RC" != 0 ] || fail "an interrupted build ended well"
    expect_absent forks.sif
    expect_nothing_left

    check "a script that floods its output is passed on whole, and a failure shows its end"
    definition flood.def <<'END'
i=0
set +x
while [ $i -lt 20000 ]; do echo "line $i"; i=$((i + 1)); done
exit 7
END
    run me singularity build flood.sif flood.def
    expect_failure
    expect_err 'failed with status 7'
    expect_err 'line 19999'
    expect_equal "$(grep -c '^line ' "$T/out")" 20000 "lines"

    check "a base for another architecture is refused before anything runs"
    printf 'Bootstrap: oci\nFrom: %s\n%%post\n    true\n' "$IMAGES/index.oci" >arch.def
    run me singularity build --arch s390x arch.sif arch.def
    expect_failure
    expect_err 's390x'
    expect_absent arch.sif
    case $(uname -m) in aarch64) other=amd64 ;; *) other=arm64 ;; esac
    ok me singularity build --arch $other other.sif "oci:$IMAGES/index.oci"
    printf 'Bootstrap: localimage\nFrom: other.sif\n%%post\n    true\n' >arch.def
    run me singularity build arch.sif arch.def
    expect_failure
    expect_err "architecture \($other\) could not run"
    expect_absent arch.sif

    check "the place of a failure is named with its line, the tree is kept on request, and one can look into it"
    definition kept.def <<'END'
echo made >/etc/made
false
END
    run me singularity build --keep-on-failure kept.sif kept.def
    expect_failure
    expect_err 'kept\.def:5:5: %post failed with status 1: false'
    kept=$(sed -n 's/.*The tree is kept: singularity shell --writable --no-home //p' <<<"$ERR")
    run me singularity exec --writable --no-home "$kept" cat /etc/made
    expect_out '^made$'
    case $kept in /*/rootfs) me rm -rf "${kept%/rootfs}" ;; esac

    check "--update runs the sections in a directory that is there, and a failure leaves that as it was"
    definition first.def <<'END'
echo one >/etc/step
END
    ok me singularity build --sandbox up.d first.def
    definition second.def <<'END'
cat /etc/step >/etc/before
echo two >/etc/step
END
    ok me singularity build --update --sandbox up.d second.def
    expect_equal "$(cat up.d/etc/step up.d/etc/before)" "two
one"
    definition third.def <<'END'
echo three >/etc/step
false
END
    run me singularity build --update --sandbox up.d third.def
    expect_failure
    expect_equal "$(cat up.d/etc/step)" two
    check "--update changes the last stage's directory; earlier stages have bases of their own"
    printf 'Bootstrap: oci\nFrom: %s\nStage: one\n%%post\n    test ! -e /etc/step\n    echo made >/made\n\nBootstrap: scratch\n%%files from one\n    /made\n%%post\n    cat /made /etc/step >/etc/both\n' "$BASE" >stages.def
    ok me singularity build --update --sandbox up.d stages.def
    expect_equal "$(cat up.d/etc/both)" "made
two"
    check "--section acts on what is named alone"
    printf 'Bootstrap: oci\nFrom: %s\n%%post\n    echo RAN\n%%labels\n    A 1\n%%runscript\n    echo run\n' "$BASE" >some.def
    run me singularity build --section labels some.sif some.def
    expect_rc 0
    refuse_out RAN
    run me singularity inspect --labels some.sif
    expect_out '"A": "1"'
    run me singularity build --force --section none --section post some.sif some.def
    expect_out RAN
    run me singularity build --force --section psot some.sif some.def
    expect_rc 1
    expect_err "there is no section 'psot'"
}
each_user hostile
expect_nothing_left

if [ "$(id -u)" = 0 ]; then
    check "a %post that forks for ever ends by its user's limit of processes"
    WHO=user
    if [ $FUSE_FOR_USERS = yes ] && user_namespaces; then
        definition forks.def <<'END'
set +x
while :; do setsid sleep 987654 & done
END
        run me prlimit --nproc=150 singularity build "$USER_HOME/forks.sif" forks.def
        expect_failure
        expect_err '[Ff]ork'
        expect_absent "$USER_HOME/forks.sif"
        expect_nothing_left
    fi
    WHO=root

    # Over the machine's /dev lies one that may be lost.
    mkdir devices && mount -t tmpfs -o mode=755 sgtest-devices devices && cp -ax /dev/. devices/ || fail "no stand-in for /dev"
    for i in 0 1 2 3 4 5 6 7 8 9; do [ -e devices/loop$i ] || mknod -m 660 devices/loop$i b 7 $i; done
    mkdir -p devices/pts devices/shm devices/canaries && chmod 1777 devices/shm && mount --bind /dev/pts devices/pts
    mknod -m 666 devices/canary c 1 3 && ln -s canary devices/link && mknod -m 640 devices/canaries/disk b 8 1 && chown 0:6 devices/canaries/disk
    echo shared >devices/shm/root && echo shared >devices/shm/user && chown $USER_ID devices/shm/user
    devices() { find devices -path devices/pts -prune -o ! -name loop\* -printf '%p %M %U:%G %s %l\n' | sort; }
    stand_in=$(devices)
    cat >devices.def <<END
Bootstrap: oci
From: $BASE
%post
    ls -ld /dev/canary /dev/link /dev/canaries
    test -c /dev/canary && test -b /dev/canaries/disk && echo readable >/dev/link && test -d /dev/pts && test -c /dev/ptmx
    test -z "\$(ls -A /dev/shm)" && echo own >/dev/shm/own
    rm -rf /dev/shm/* /dev/* || true
    test -c /dev/null || mknod -m 666 /dev/null c 1 3
    echo works >/dev/null
%test
    rm -rf /dev/can* || true
END
    chmod 644 devices.def
    for WHO in root user; do
        [ $WHO = root ] || { [ $FUSE_FOR_USERS = yes ] && user_namespaces; } || continue
        check "what %post and %test remove of /dev is still the machine's"
        mount --rbind devices /dev || { fail "no stand-in for /dev"; break; }
        run me singularity build --no-cache "$USER_HOME/devices.sif" devices.def
        umount -l /dev
        expect_rc 0
        expect_equal "$(devices)" "$stand_in"
        rm -f "$USER_HOME/devices.sif"
    done
    WHO=root
    umount -l devices

    check "without a network a base from elsewhere is told to be out of reach, and one that is here is built on"
    printf 'Bootstrap: docker\nFrom: registry.invalid:5000/x\n%%post\n    true\n' >far.def
    run unshare --net singularity build far.sif far.def
    expect_failure
    expect_err 'registry\.invalid'
    expect_absent far.sif
    definition near.def <<'END'
echo fine >/etc/fine
END
    ok unshare --net singularity build near.sif near.def

    check "a full disk ends each step of a build with what is missing where, and leaves nothing"
    mkdir small big && mount -t tmpfs -o size=6m,mode=1777 tmpfs small
    definition fill.def <<'END'
dd if=/dev/zero of=/opt/zeros bs=1M count=20
END
    small() { expect_failure; expect_err '[Nn]o space left'; expect_equal "$(find small -mindepth 1)" "" "files on the full disk"; }
    run singularity build --no-cache --tmpdir "$PWD/small" big/x.sif fill.def # the writable layer
    small
    expect_absent big/x.sif
    SINGULARITY_TMPDIR=$PWD/small run singularity build --no-cache big/x.sif fill.def
    small
    definition noise.def <<'END'
dd if=/dev/urandom of=/opt/noise bs=1M count=10
END
    run singularity build --no-cache small/x.sif noise.def # the image
    small
    run singularity build --no-cache --sandbox small/x.d noise.def
    small
    dd if=/dev/urandom of=big/noise bs=1M count=10 2>/dev/null
    printf 'Bootstrap: scratch\n%%files\n    big/noise /noise\n' >files.def
    run singularity build --no-cache small/x.sif files.def # without scripts
    small
    ok singularity build --no-cache big/base.sif files.def
    printf 'Bootstrap: localimage\nFrom: big/base.sif\n%%labels\n    A 1\n' >base.def
    run singularity build --no-cache small/x.sif base.def
    small
    expect_err 'needs about 10 MiB in small/, where 6.0 MiB are free'
    # A cache without room keeps nothing, and the image is made.
    SINGULARITY_CACHEDIR=$PWD/small run singularity build big/x.sif noise.def
    [ "$RC" = 0 ] || expect_err '[Nn]o space left'
    rm -rf small/*
    printf 'Bootstrap: scratch\nStage: one\n%%files\n    big/noise /noise\n\nBootstrap: scratch\n%%files from one\n    /noise\n' >stages.def
    SINGULARITY_CACHEDIR=$PWD/small run singularity build --force big/stages.sif stages.def
    expect_rc 0
    expect_err '^WARNING: the stage is not kept: .*[Nn]o space left'
    umount small
fi

epochs() {
    [ $WHO = root ] || [ $FUSE_FOR_USERS = yes ] || return
    check "with SOURCE_DATE_EPOCH two builds give the same bytes, kept results or not"
    export SOURCE_DATE_EPOCH=1700000000
    echo data >file.txt && touch -d @1800000000 file.txt
    cat >epoch.def <<END
Bootstrap: oci
From: $BASE
%files
    file.txt /opt/file.txt
%post
    mkdir -p /opt/made/deep
    echo made >/opt/made/deep/file
    ln /opt/made/deep/file /opt/made/hard
    rm -rf /etc/motd
    echo 'export A=1' >>"\$SINGULARITY_ENVIRONMENT"
%runscript
    echo run
END
    ok me singularity build --no-cache one.sif epoch.def
    ok me singularity build --no-cache two.sif epoch.def
    expect_same_file one.sif two.sif
    ok me singularity build --processors 1 three.sif epoch.def
    ok me singularity build four.sif epoch.def
    expect_err 'Reusing %post'
    expect_same_file one.sif three.sif
    expect_same_file one.sif four.sif
    cp one.sif "$T/w/epoch.$WHO.$WAY.sif"
    unset SOURCE_DATE_EPOCH
}
if [ "$(id -u)" = 0 ]; then
    cp /etc/subuid "$T/none" 2>/dev/null || : >"$T/none"
    sed -i "/^$USER_NAME:/d" "$T/none"
    { cat "$T/none"; echo "$USER_NAME:700000:65536"; } >"$T/subordinate"
    chmod 644 "$T/none" "$T/subordinate"
    touch /etc/subuid /etc/subgid
    chmod 1777 "$T/w"
    for way in none subordinate; do
        command -v newuidmap >/dev/null || [ $way = none ] || continue
        mount --bind "$T/$way" /etc/subuid && mount --bind "$T/$way" /etc/subgid
        WAY=$way
        words=("${USER_WORDS[@]}")
        # newuidmap is set-user-id root, and maps nothing where root has no capabilities.
        [ $way = none ] || USER_WORDS=(setpriv --reuid $USER_ID --regid $USER_ID --clear-groups --inh-caps=-all env "HOME=$USER_HOME" USER=$USER_NAME)
        each_user epochs
        USER_WORDS=("${words[@]}")
        rm -rf "$T"/w/epochs.*
        umount /etc/subuid /etc/subgid
    done
    check "and the bytes are those of root's build, whoever builds"
    for image in epoch.user.*.sif; do [ ! -e "$image" ] || expect_same_file epoch.root.none.sif "$image"; done
fi
finish
