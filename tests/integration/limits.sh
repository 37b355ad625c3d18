# Limits by control groups: real ones of version 1 where the machine has them; messages where it has none.
. "$(dirname "$0")/../support/lib.sh"
ok singularity build full.sif "oci:$IMAGES/full.oci"
chmod 755 full.sif
I=$PWD/full.sif

check "wrong values are usage errors that name the option"
run singularity exec --memory lots "$I" true
expect_failure 1
expect_err 'memory lots'
run singularity exec --cpus -1 "$I" true
expect_failure 1
run singularity exec --apply-cgroups /no/such.toml "$I" true
expect_failure
expect_err '/no/such.toml'
printf '[memory]\nlimitt = 5\n' >wrong.toml
run singularity exec --apply-cgroups wrong.toml "$I" true
expect_failure
expect_err 'wrong.toml:2: .*memory.limitt'
expect_err 'limit'

check "the LaunchSpec has them as the runtime-spec does"
run singularity exec --dry-run --cpus 1.5 --memory 64m --pids-limit 20 "$I" true
expect_rc 0
python3 -c '
import json, sys
r = json.load(open(sys.argv[1]))["linux"]["resources"]
assert r["cpu"] == {"quota": 150000, "period": 100000}, r
assert r["memory"] == {"limit": 64 << 20} and r["pids"] == {"limit": 20}, r' "$T/out" || fail "resources"

check "0 is no limit of memory"
run singularity exec --dry-run --memory 0 --memory-swap 0 --memory-reservation 0 "$I" true
expect_rc 0
refuse_out '"resources"'

group_of() { sed -n "s#^[0-9]*:\\(.*,\\)\\?$1\\(,.*\\)\\?:##p" "$2"; }
version_1() {
    local c
    for c in memory pids cpu; do [ -w "/sys/fs/cgroup/$c" ] && grep -q " - cgroup .*$c" /proc/self/mountinfo || return 1; done
}
if [ "$(id -u)" = 0 ] && version_1 && mkdir "/sys/fs/cgroup/pids/sgtest-$$" 2>/dev/null; then
    rmdir "/sys/fs/cgroup/pids/sgtest-$$"
    check "each limit is in force, in a group that is gone afterwards"
    run singularity exec --memory 64m --pids-limit 20 --cpus 0.5 "$I" cat /proc/self/cgroup
    expect_rc 0
    expect_out 'memory:.*/singularity-[0-9-]+$'
    expect_out 'pids:.*/singularity-[0-9-]+$'
    [ -z "$(find /sys/fs/cgroup -maxdepth 5 -name 'singularity-[0-9]*' 2>/dev/null)" ] || fail "a group was left"
    run singularity exec --memory 64m --pids-limit 20 --cpus 0.5 --bind /sys/fs/cgroup "$I" /bin/sh -c '
        g=$(sed -n "s#^[0-9]*:pids:##p" /proc/self/cgroup); cat /sys/fs/cgroup/pids$g/pids.max
        g=$(sed -n "s#^[0-9]*:cpu:##p" /proc/self/cgroup); cat /sys/fs/cgroup/cpu$g/cpu.cfs_quota_us'
    expect_equal "$(tr '\n' ' ' <"$T/out")" "20 50000 "
    check "more processes than allowed cannot be started, and the status is the command's"
    run singularity exec --pid --pids-limit 5 "$I" /bin/sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 3 & done; wait; exit 9'
    [ "$RC" != 9 ] || [ -n "$ERR" ] || fail "nothing was refused"
    run singularity exec --pids-limit 20 "$I" status 37
    expect_rc 37
    check "a file gives limits, and options win over it"
    printf '[pids]\nlimit = 30\n[cpu]\nshares = 512\n' >limits.toml
    run singularity exec --apply-cgroups limits.toml --pids-limit 40 --bind /sys/fs/cgroup "$I" /bin/sh -c '
        g=$(sed -n "s#^[0-9]*:pids:##p" /proc/self/cgroup); cat /sys/fs/cgroup/pids$g/pids.max
        g=$(sed -n "s#^[0-9]*:cpu:##p" /proc/self/cgroup); cat /sys/fs/cgroup/cpu$g/cpu.shares'
    expect_equal "$(tr '\n' ' ' <"$T/out")" "40 512 "
    check "an instance and those who join it are in one group"
    ok singularity instance start --pids-limit 50 --memory 100m "$I" limited
    run singularity exec instance://limited cat /proc/self/cgroup
    expect_out 'pids:.*/singularity-[0-9-]+$'
    check "stats shows the memory that its group allows"
    ok singularity instance stats --json limited
    expect_out '"memoryLimitBytes": ?104857600'
    ok singularity instance stop limited
    [ -z "$(find /sys/fs/cgroup -maxdepth 5 -name 'singularity-[0-9]*' 2>/dev/null)" ] || fail "a group was left"
else
    note "no control groups of version 1 that can be written here"
fi

if [ "$(id -u)" = 0 ] && user_namespaces && [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then
    WHO=user
    check "an ordinary user without a group of his own is told what is missing"
    run me singularity exec --memory 64m "$I" true
    expect_failure
    expect_err 'cannot limit memory'
    expect_err 'delegated'
    run singularity exec "$I" true
    expect_rc 0
fi
# Version 2 with the controllers that version 1 has left, as root and in a directory that was delegated to a user.
second_version() {
    umount -R /sys/fs/cgroup && mount -t cgroup2 sgtest-groups /sys/fs/cgroup || { note "no control groups of version 2"; return; }
    if [ ! -w /sys/fs/cgroup/cgroup.procs ] || ! grep -q hugetlb /sys/fs/cgroup/cgroup.controllers; then
        note "version 2 has no controller to try here"
        return
    fi
    local before who group=/sys/fs/cgroup/sgtest-$RANDOM
    before=$(find /sys/fs/cgroup -name 'singularity-*' | sort)
    printf '[unified]\n"hugetlb.2MB.max" = "4194304"\n' >second.toml
    mkdir $group $group/job
    local given=no
    ! grep -q hugetlb /sys/fs/cgroup/cgroup.subtree_control || given=yes
    echo +hugetlb >/sys/fs/cgroup/cgroup.subtree_control
    echo +hugetlb >$group/cgroup.subtree_control
    chown -R $USER_ID $group
    local launcher
    for launcher in native oci-runtime; do
        [ $launcher = native ] || command -v crun >/dev/null || continue
        export SINGULARITY_LAUNCHER=$launcher
        for who in root user; do
            [ $who = root ] || user_namespaces || continue
            WHO=$who
            check "$launcher, version 2: a limit is in force, in a group that is gone afterwards, without the server that others share"
            local -a words=()
            [ $who = root ] || words=(bash -c 'echo $$ >"$0" && exec "$@"' $group/job/cgroup.procs "${USER_WORDS[@]}")
            run "${words[@]}" singularity exec --apply-cgroups "$PWD/second.toml" -B /sys/fs/cgroup "$I" /bin/sh -c 'cat "/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)/hugetlb.2MB.max"; exit 7'
            expect_rc 7
            expect_equal "$OUT" 4194304
            expect_equal "$(find /sys/fs/cgroup -name 'singularity-*' | sort)" "$before" "a group was left"
        done
    done
    unset SINGULARITY_LAUNCHER
    WHO=root
    expect_nothing_left
    rmdir $group/job $group || fail "the user's directory is not empty"
    [ $given = yes ] || echo -hugetlb >/sys/fs/cgroup/cgroup.subtree_control
}
if [ "$(id -u)" = 0 ]; then second_version; fi
expect_nothing_left
finish
