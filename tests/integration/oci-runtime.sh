# The launcher oci-runtime: containers by crun and by runc, as root and as an ordinary user.
. "$(dirname "$0")/../support/lib.sh"
need_tool crun runc umoci script

ok singularity build full.sif "oci:$IMAGES/full.oci"
ok singularity build noshell.sif "oci:$IMAGES/noshell.oci"
cp -r "$IMAGES/full.oci" user.oci
umoci config --image user.oci:latest --config.user 1000:1000 --config.workingdir /made/by/config --config.volume /var/data --config.volume /new/volume \
    --config.stopsignal SIGUSR1 || fail umoci
ok singularity build user.sif oci:user.oci
cat >base.def <<END
Bootstrap: localimage
From: $PWD/user.sif
%startscript
    echo ready
    trap 'echo got USR1; exit 0' USR1
    while :; do sleep 0.1; done
END
ok singularity build base.sif base.def
ok singularity build copy.sif user.sif
chmod 755 ./*.sif
I=$PWD
export SINGULARITY_LAUNCHER=oci-runtime

# Control groups with the names that this launcher gives, which were not there before.
groups() { find /sys/fs/cgroup -type d -regex '.*/singularity-[0-9a-f]+' 2>/dev/null | sort; }
GROUPS_BEFORE=$(groups)
groups_left() { comm -13 <(cat <<<"$GROUPS_BEFORE") <(groups); }
id_of() { [ "$WHO" = user ] && echo $USER_ID || echo 0; }
home_of() { [ "$WHO" = user ] && echo "$USER_HOME" || echo "$HOME"; }

check "a SIF that was made from a SIF keeps the configuration of the OCI image"
for image in base copy; do
    run singularity sif dump 3 $image.sif
    expect_out '"User": *"1000:1000"'
done

runs() {
    export SINGULARITY_LAUNCHER_OCI_RUNTIME_RUNTIME="$RUNTIME"
    check "$RUNTIME: one is oneself, in one's own directory, with one's own environment"
    run me singularity exec "$I/full.sif" /bin/sh -c 'id -u; pwd; echo $COLOUR $SINGULARITY_NAME; cat /proc/self/status'
    expect_rc 0
    expect_equal "$(sed -n 1,3p "$T/out" | tr '\n' ' ')" "$(id_of) /lab blue full.sif "
    [ "$WHO" = root ] || expect_out '^CapEff:.0+$'
    expect_out '^NoNewPrivs:.1$'

    check "$RUNTIME: arguments, streams, exit status"
    run me singularity run "$I/full.sif" a 'b  c'
    expect_equal "$OUT" "entry a b  c"
    run me singularity exec "$I/full.sif" say 'two  words' '$HOME'
    expect_equal "$OUT" 'say two  words $HOME'
    OUT=$(echo 'echo from shell; exit 7' | me singularity shell "$I/full.sif" 2>"$T/err")
    expect_equal "$?$OUT" "7from shell"
    run me singularity exec "$I/full.sif" status 42
    expect_rc 42
    run me singularity exec "$I/full.sif" /bin/sh -c 'kill -9 $$'
    expect_rc 137
    run me singularity exec --pid "$I/full.sif" /bin/sh -c 'kill -15 $$'
    expect_rc 143
    run me singularity exec "$I/full.sif" no-such-program
    expect_failure
    expect_err '"no-such-program": executable file not found in \$PATH'
    run me singularity exec "$I/noshell.sif" /bin/echo works
    expect_equal "$OUT" works

    check "$RUNTIME: namespaces, host name, capabilities, binds, overlays"
    run me singularity exec --containall --hostname box --net --network none --no-home "$I/full.sif" /bin/sh -c 'hostname; cat /proc/1/comm; ls /dev; cat /proc/net/dev | wc -l'
    expect_rc 0
    expect_out '^box$'
    expect_out '^appinit$'
    expect_out '^mqueue$'
    expect_out '^3$'
    mkdir -p src over
    echo data >src/file
    [ "$WHO" = root ] || chown -R $USER_ID src over 2>/dev/null
    run me singularity exec -B src:/etc/new/place:ro -o over "$I/full.sif" /bin/sh -c 'cat /etc/new/place/file; echo x >/etc/new/place/file || echo read-only; echo y >/etc/written'
    expect_out '^data$'
    expect_out '^read-only$'
    expect_exists over/upper/etc/written
    run me singularity exec --add-caps CAP_NET_RAW "$I/full.sif" grep CapEff /proc/self/status
    [ "$WHO" = root ] || expect_out '0000000000002000$'

    if [ "$WHO" = user ]; then
        check "$RUNTIME: containers of one image share its file system server, and no other's"
        local first
        run me singularity exec "$I/full.sif" stat -c %d /
        first=$OUT
        run me singularity exec --env A=b "$I/full.sif" stat -c %d /
        expect_equal "$OUT" "$first"
        [ -n "$first" ] || fail "no number"
        run me singularity exec -B src:/elsewhere "$I/full.sif" stat -c %d /
        [ "$OUT" != "$first" ] || fail "other mount points were shared"
        SINGULARITY_MOUNT_LINGER=0 run me singularity exec "$I/full.sif" stat -c %d /
        [ "$OUT" != "$first" ] || fail "linger 0 was shared"
    fi

    check "$RUNTIME: a terminal of its own when there is one, none when there is not"
    run me script -qec "singularity exec --contain $I/full.sif /bin/sh -c 'test -t 0 && test -t 1 && echo terminal; exit 5'" /dev/null
    expect_rc 5
    expect_out 'terminal'
    run me singularity exec --contain "$I/full.sif" /bin/sh -c 'test -t 1 || echo none'
    expect_equal "$OUT" none

    check "$RUNTIME: signals reach the command"
    start "$T/signal" me singularity exec "$I/full.sif" /bin/sh -c 'trap "echo caught; exit 9" TERM; echo waiting; while :; do sleep 0.1; done'
    until_says "$T/signal" waiting && kill -TERM $PID
    ended
    expect_rc 9
    grep -q caught "$T/signal" || fail "it was not caught"

    check "$RUNTIME: USER, WORKDIR and VOLUME of the image"
    run me singularity exec "$I/user.sif" /bin/sh -c 'id -u; id -g; pwd; echo $HOME; grep -c "/new/volume .*overlay" /proc/self/mountinfo; echo 2 >/etc/b || echo read-only; grep NoNewPrivs /proc/self/status'
    expect_rc 0
    expect_equal "$(sed -n 1,5p "$T/out" | tr '\n' ' ')" "1000 1000 /made/by/config / 1 "
    expect_out '^read-only$'
    run me singularity exec --pwd /etc "$I/user.sif" pwd
    expect_equal "$OUT" /etc
    run me singularity exec -B src:/new/volume "$I/user.sif" cat /new/volume/file
    expect_equal "$OUT" data
    run me singularity exec "$I/base.sif" id -u
    expect_equal "$OUT" 1000
    run me singularity exec --fakeroot "$I/user.sif" id -u
    expect_equal "$OUT" 0

    check "$RUNTIME: instances, and the image's STOPSIGNAL"
    run me singularity instance start "$I/base.sif" one
    expect_rc 0
    local log
    log=$(home_of)/.singularity/instances/logs/$(uname -n)/$([ "$WHO" = user ] && echo $USER_NAME || echo root)/one.out
    until_says "$log" ready
    run me singularity instance list
    expect_out "^one +[0-9]+ .*base.sif$"
    run me singularity exec instance://one /bin/sh -c 'id -u; pwd; cat /proc/1/comm; exit 3'
    expect_rc 3
    expect_equal "$(tr '\n' ' ' <"$T/out")" "1000 /made/by/config appinit "
    run me script -qec "singularity exec instance://one tty" /dev/null
    expect_out '/dev/pts/'
    run me singularity instance stop one
    expect_rc 0
    grep -q 'got USR1' "$log" || fail "STOPSIGNAL did not come"
    run me singularity instance list
    refuse_out '^one'

    check "$RUNTIME: few descriptors are enough, and those of the caller are handed on"
    run me bash -c "ulimit -n 64; exec singularity exec '$I/full.sif' /bin/sh -c 'ulimit -n; cat <&7' 7<src/file"
    expect_equal "$OUT" "64
data"

    check "$RUNTIME: wrong input has words"
    SINGULARITY_LAUNCHER_OCI_RUNTIME_RUNTIME="/nowhere/crun" run me singularity exec "$I/full.sif" true
    expect_failure
    expect_err '/nowhere/crun'
    run me singularity exec --security seccomp:/dev/null "$I/full.sif" true
    expect_failure
    expect_nothing_left
    expect_equal "$(groups_left)" "" "control groups were left"
}

# One process after the other is killed while the container runs; all others must end, and nothing may be left.
killed() {
    local who victim kind=$1
    shift
    for who in caller monitor payload; do
        check "$RUNTIME: nothing is left when the $who of $kind is killed"
        start "$T/killed" me singularity "$@" /bin/sh -c 'echo up; while :; do sleep 0.1; done'
        until_says "$T/killed" up || continue
        local monitor
        monitor=$(pgrep -P "$(caller_of $PID)" -x oci-monitor)
        case $who in
        caller) victim=$(caller_of $PID) ;;
        monitor) victim=$monitor ;;
        payload) victim=$(pgrep -P "$monitor" | head -n 1) ;;
        esac
        [ -n "$victim" ] || { fail "no $who"; kill -9 $PID; continue; }
        kill -9 "$victim"
        ended
        [ $RC != 0 ] || fail "status 0"
        expect_nothing_left
        expect_equal "$(groups_left)" "" "control groups were left"
    done
}
caller_of() { # setpriv and env are replaced by what they start
    echo "$1"
}
kills() {
    export SINGULARITY_LAUNCHER_OCI_RUNTIME_RUNTIME="$RUNTIME"
    killed exec exec "$I/full.sif"
    killed "exec --containall" exec --containall "$I/full.sif"
}

# The same between the runtime's two commands: a runtime that kills somebody once the container is made.
between() {
    local who
    for who in itself monitor caller; do
        check "$RUNTIME: nothing is left when a process ($who) is killed before the container starts"
        cat >"kill-$who" <<END
#!/bin/bash
[ "\$1" != --version ] || exec $RUNTIME --version
case " \$* " in *" create "*) ;; *) exec $RUNTIME "\$@" ;; esac
[ $who != itself ] || kill -9 \$\$
$RUNTIME "\$@"
victim=\$PPID
[ $who != caller ] || victim=\$(sed 's/.*) . \([0-9]*\) .*/\1/' /proc/\$PPID/stat)
kill -9 \$victim
END
        chmod 755 "kill-$who"
        SINGULARITY_LAUNCHER_OCI_RUNTIME_RUNTIME="$PWD/kill-$who" run me singularity exec "$I/full.sif" /bin/echo started
        [ "$RC" != 0 ] || fail "status 0"
        refuse_out started
        [ $who != itself ] || expect_err 'could not create the container: it was ended by signal 9'
        expect_nothing_left
        expect_equal "$(groups_left)" "" "control groups were left"
    done
}

# runc makes control groups for root in any case; a machine around this one may not let it.
usable() {
    SINGULARITY_LAUNCHER_OCI_RUNTIME_RUNTIME=$RUNTIME run me singularity exec "$I/full.sif" true
    [ "$RC" = 0 ] || ! grep -qi cgroup "$T/err" || { note "$RUNTIME has no control groups here: not tried as $WHO"; return 1; }
}
all_of_it() { usable || return; between; runs; kills; }

for RUNTIME in crun runc; do each_user all_of_it; done

# Version 2 of the control groups, as machines have them today; here with the controllers that version 1 has left.
second_version() {
    umount -R /sys/fs/cgroup && mount -t cgroup2 sgtest-groups /sys/fs/cgroup || { note "no control groups of version 2"; return; }
    if [ ! -w /sys/fs/cgroup/cgroup.procs ] || ! grep -q hugetlb /sys/fs/cgroup/cgroup.controllers; then
        note "version 2 has no controller to try here"
        return
    fi
    GROUPS_BEFORE=$(groups)
    printf '[unified]\n"hugetlb.2MB.max" = "4194304"\n' >second.toml
    for RUNTIME in crun runc; do
        export SINGULARITY_LAUNCHER_OCI_RUNTIME_RUNTIME="$RUNTIME"
        usable || continue
        check "$RUNTIME: control groups of version 2: a limit is in force, in a group that is gone afterwards"
        run singularity exec --apply-cgroups second.toml -B /sys/fs/cgroup full.sif sh -c 'cat "/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)/hugetlb.2MB.max"; exit 7'
        expect_rc 7
        expect_equal "$OUT" 4194304
        expect_equal "$(groups_left)" "" "control groups were left"
        check "$RUNTIME: an instance is limited, and so is who joins it"
        ok singularity instance start --apply-cgroups second.toml -B /sys/fs/cgroup base.sif limited
        run singularity exec instance://limited sh -c 'cat "/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)/hugetlb.2MB.max"'
        expect_equal "$OUT" 4194304
        ok singularity instance stop limited
        run singularity instance list
        expect_equal "$(groups_left)" "" "control groups were left"
        if ! grep -q pids /sys/fs/cgroup/cgroup.controllers; then
            check "$RUNTIME: a limit that no controller sets is refused, and leaves no group"
            run singularity exec --pids-limit 20 full.sif echo ran
            expect_failure
            expect_err pids
            refuse_out ran
            expect_equal "$(groups_left)" "" "control groups were left"
        fi
    done
}
WHO=root
if [ "$(id -u)" = 0 ]; then second_version; fi
unset SINGULARITY_LAUNCHER_OCI_RUNTIME_RUNTIME SINGULARITY_LAUNCHER

check "it is chosen by registration alone: native stays what an empty key means, and --launcher says otherwise"
run singularity --debug exec full.sif true
refuse_err 'config.json'
run singularity --debug exec --launcher oci-runtime full.sif true
expect_err 'config.json: '
run singularity exec --launcher nobody full.sif true
expect_failure
check "the conformance kit passes"
run singularity plugin test "$PREFIX/lib/singularity/plugins/oci-runtime"
expect_rc 0
finish
