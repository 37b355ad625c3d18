# Namespaces and ids: what is seen inside with --pid, --ipc, --uts, --net, --userns and --fakeroot, and who may use which ids.
. "$(dirname "$0")/../support/lib.sh"

ok singularity build full.sif "oci:$IMAGES/full.oci"
chmod 755 full.sif
I=$PWD/full.sif
ns() { me singularity exec "$@" readlink "/proc/self/ns/$N"; }

own_ones() {
    check "only the mount namespace is always a new one"
    local host
    for N in pid ipc uts net; do
        host=$(me readlink /proc/self/ns/$N)
        run ns "$I"
        expect_equal "$OUT" "$host" "the $N namespace without an option"
    done
    N=mnt
    run ns "$I"
    [ "$OUT" != "$(me readlink /proc/self/ns/mnt)" ] || fail "the mount namespace is the host's"
    N=user
    run ns "$I"
    if [ "$WHO" = root ]; then
        expect_equal "$OUT" "$(readlink /proc/self/ns/user)"
        run ns --userns "$I"
    fi
    [ "$OUT" != "$(me readlink /proc/self/ns/user)" ] || fail "no user namespace"
    check "each option makes its own"
    for N in pid ipc uts net; do
        host=$(me readlink /proc/self/ns/$N)
        local more=()
        [ $N != net ] || more=(--network none)
        run ns --$N "${more[@]}" "$I"
        expect_rc 0
        [ "$OUT" != "$host" ] || fail "--$N leaves the host's"
    done
    check "--hostname names it inside only"
    run me singularity exec --hostname inside "$I" sh -c 'hostname; cat /etc/hostname'
    expect_equal "$OUT" $'inside\ninside'
    [ "$(hostname)" != inside ] || fail "the host's name was changed"
    check "--net has the loopback device, up"
    run me singularity exec --net --network none "$I" sh -c 'cat /proc/net/dev; cat /sys/class/net/lo/flags 2>/dev/null || echo 0x9'
    expect_out ' lo:'
    refuse_out ' eth0:'
    check "--pid: an init that is called appinit, reaps, forwards and passes the status on"
    run me singularity exec --pid "$I" sh -c 'cat /proc/1/comm; sh -c "sleep 0 & exec true"; exit 37'
    expect_rc 37
    expect_equal "$OUT" appinit
    run me singularity exec --pid --no-init "$I" sh -c 'echo $$'
    expect_equal "$OUT" 1
    run me singularity exec --pid "$I" sh -c 'kill -KILL $$'
    expect_rc 137
    start "$T/pid" me singularity exec --pid "$I" sh -c 'trap "echo got; exit 5" TERM; echo ready; while :; do sleep 0.1; done'
    until_says "$T/pid" ready
    kill -TERM "$PID"
    ended
    expect_rc 5
    check "--pid without /proc still runs"
    run me singularity exec --pid --no-mount proc "$I" echo fine
    expect_rc 0
    check "networks and paths that are not there are refused"
    run me singularity exec --netns-path "$T/no-such" "$I" true
    expect_failure
    expect_err "network namespace $T/no-such"
    run me singularity exec --netns-path "$I" "$I" true
    expect_failure
    if [ "$WHO" = root ] && command -v ip >/dev/null && ip netns add sgtest-$$ 2>/dev/null; then
        check "--netns-path joins one"
        run singularity exec --netns-path /run/netns/sgtest-$$ "$I" readlink /proc/self/ns/net
        expect_equal "$OUT" "net:[$(stat -Lc %i /run/netns/sgtest-$$)]"
        ip netns del sgtest-$$
        umount /run/netns
    fi
}
each_user own_ones

fakeroot() {
    check "--fakeroot: root inside, the caller outside"
    run me singularity exec --fakeroot "$I" sh -c 'id -u; id -g; id -un; echo $HOME; touch made'
    expect_rc 0
    expect_equal "$OUT" $'0\n0\nroot\n/root'
    expect_equal "$(stat -c %u:%g made)" "$(me id -u):$(me id -g)"
    expect_err 'not listed in /etc/subuid'
    check "it can add users where changes are kept or forgotten"
    run me singularity exec --fakeroot --writable-tmpfs "$I" sh -c 'echo bob:x:77:77::/:/bin/sh >>/etc/passwd && cp /etc/passwd /etc/new && mv /etc/new /etc/passwd && id -u bob'
    expect_equal "$OUT" 77
    check "it has every capability there"
    run me singularity exec --fakeroot "$I" grep CapEff /proc/self/status
    expect_out '000001ff'
    run me singularity exec --fakeroot --drop-caps all "$I" grep CapEff /proc/self/status
    expect_out '0000000000000000$'
    check "the image belongs to root inside, and root's home is the caller's"
    run me singularity exec --fakeroot "$I" stat -c %u:%g /bin/busybox /
    expect_equal "$OUT" $'0:0\n0:0'
    me sh -c 'echo mine >"$HOME/of-$0"' "$WHO"
    run me singularity exec --fakeroot "$I" cat "/root/of-$WHO"
    expect_equal "$OUT" mine
    check "with SINGULARITY_FAKEROOT and a PID namespace too"
    SINGULARITY_FAKEROOT=1 run me singularity exec --pid "$I" sh -c 'id -u; cat /proc/1/comm'
    expect_equal "$OUT" $'0\nappinit'
}
each_user fakeroot

subordinate() {
    [ "$(id -u)" = 0 ] || return 0
    cp /etc/subuid "$T/subuid" 2>/dev/null || : >"$T/subuid"
    cp /etc/subgid "$T/subgid" 2>/dev/null || : >"$T/subgid"
    touch /etc/subuid /etc/subgid
    mount --bind "$T/subuid" /etc/subuid
    mount --bind "$T/subgid" /etc/subgid
    check "config fakeroot gives a user ids, and takes them back"
    ok singularity config fakeroot --add $USER_NAME
    run grep "^$USER_NAME:[0-9]*:65536$" /etc/subuid /etc/subgid
    expect_rc 0
    before=$(cat /etc/subuid)
    ok singularity config fakeroot --add $USER_NAME
    expect_equal "$(cat /etc/subuid)" "$before" "adding twice changes nothing"
    ok singularity config fakeroot --disable $USER_NAME
    run grep "^!$USER_NAME:" /etc/subuid
    expect_rc 0
    ok singularity config fakeroot --enable $USER_NAME
    expect_equal "$(cat /etc/subuid)" "$before"
    run singularity config fakeroot --add no-such-user
    expect_failure
    run singularity config fakeroot --add --remove $USER_NAME
    expect_failure 1
    run as_user singularity config fakeroot --add $USER_NAME
    expect_failure
    expect_err '/etc/sub[ug]id'
    if command -v newuidmap >/dev/null && user_namespaces; then
        # The user of this test has no right to gain any.
        check "where newuidmap and newgidmap do not work, root alone is mapped, and it is said why"
        mkdir -m 777 refused && cd refused
        WHO=user run me singularity exec --fakeroot "$I" sh -c 'id -u; wc -l </proc/self/uid_map'
        expect_rc 0
        expect_equal "$OUT" $'0\n1'
        expect_err 'ids of /etc/subuid and /etc/subgid cannot be mapped \(.+; see: singularity doctor\), trying root-mapped namespace'
        cd ..
    fi
    if command -v newuidmap >/dev/null && [ -u "$(command -v newuidmap)" ] && user_namespaces; then
        # newuidmap is set-user-id root and needs the capabilities that a test's user usually is without.
        USER_WORDS=(setpriv --reuid $USER_ID --regid $USER_ID --clear-groups --inh-caps=-all env "HOME=$USER_HOME" USER=$USER_NAME)
        mkdir -m 777 sub && cd sub
        check "with subordinate ids other owners exist, inside and outside"
        start=$(sed -n "s/^$USER_NAME:\\([0-9]*\\):.*/\\1/p" /etc/subuid)
        WHO=user run me singularity exec --fakeroot "$I" sh -c 'touch x && chown 5:6 x && stat -c %u:%g x && wc -l </proc/self/uid_map'
        expect_rc 0
        expect_equal "$OUT" $'5:6\n2'
        expect_equal "$(stat -c %u:%g x)" "$((start + 4)):$((start + 5))"
        WHO=user run me singularity exec --fakeroot --writable-tmpfs "$I" sh -c 'touch /opt/x && chown 100:100 /opt/x && stat -c %u /opt/x'
        expect_equal "$OUT" 100
        check "whichever of the two programs fails or is missing, root alone is mapped"
        printf '#!/bin/sh\necho it fails >&2\nexit 1\n' >"$T/fails"
        chmod 755 "$T/fails"
        printf 'Bootstrap: localimage\nFrom: %s\n%%post\n    chown 5:6 /etc || true\n    echo made\n' "$I" >owners.def
        for program in newuidmap newgidmap; do
            mount --bind "$T/fails" "$(readlink -f "$(command -v $program)")"
            WHO=user run me singularity exec --fakeroot "$I" sh -c 'id -u; wc -l </proc/self/uid_map'
            expect_rc 0
            expect_equal "$OUT" $'0\n1'
            expect_err 'cannot be mapped \(it fails; see'
            WHO=user run me singularity build --fakeroot --no-cache --force owners.sif owners.def
            expect_rc 0
            umount "$(readlink -f "$(command -v $program)")"
            mount --bind /dev/null "$(readlink -f "$(command -v $program)")"
            WHO=user run me singularity exec --fakeroot "$I" id -u
            expect_equal "$OUT" 0
            expect_err "The program $program is not here, trying root-mapped namespace"
            umount "$(readlink -f "$(command -v $program)")"
        done
        check "--ignore-subuid does without them"
        WHO=user run me singularity exec --fakeroot --ignore-subuid "$I" sh -c 'wc -l </proc/self/uid_map'
        expect_equal "$OUT" 1
        cd ..
    else
        note "no set-user-id newuidmap: subordinate ids are not tried"
    fi
    ok singularity config fakeroot --remove $USER_NAME
    run grep "$USER_NAME" /etc/subuid
    expect_rc 1
    run singularity config fakeroot --remove $USER_NAME
    expect_failure
    umount /etc/subuid /etc/subgid
}
subordinate

check "an installation of root's serves also where root's files seem to be nobody's, in a user namespace of one id"
if user_namespaces; then
    WHO=user run me unshare -U --map-root-user singularity plugin list
    expect_rc 0
    expect_out '^oci '
    refuse_err 'belongs to another user'
    WHO=user run me unshare -U --map-root-user singularity inspect "$I"
    expect_rc 0
else
    note "no user namespaces here"
fi

expect_nothing_left
finish
