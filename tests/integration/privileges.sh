# Privileges: what a container's process may do, as /proc/self/status shows it inside, and who may change it.
. "$(dirname "$0")/../support/lib.sh"

ok singularity build full.sif "oci:$IMAGES/full.oci"
chmod 755 full.sif
I=$PWD/full.sif
status() { me singularity exec "$@" "$I" sed -n 's/^\(CapInh\|CapPrm\|CapEff\|CapBnd\|CapAmb\|NoNewPrivs\|Seccomp\):[[:space:]]*/\1=/p' /proc/self/status; }

rights() {
    check "no_new_privs is set"
    run status
    expect_out '^NoNewPrivs=1$'
    if [ "$WHO" = user ]; then
        check "an ordinary user has empty sets"
        for set in CapInh CapPrm CapEff CapBnd CapAmb; do expect_out "^$set=0000000000000000$"; done
        check "what is for root only is refused"
        for option in --keep-privs --allow-setuid; do
            run me singularity exec $option "$I" true
            expect_failure
            expect_err "$option is for root only"
        done
        check "--add-caps gives them within the user namespace, in all sets"
        run status --add-caps net_raw,CAP_CHOWN
        for set in CapInh CapPrm CapEff CapBnd CapAmb; do expect_out "^$set=0000000000002001$"; done
    else
        check "root keeps what the machine gives"
        mine=$(sed -n 's/^CapPrm:[[:space:]]*/CapPrm=/p' /proc/self/status)
        expect_out "^$mine$"
        run status --keep-privs
        expect_out "^$mine$"
        expect_out '^NoNewPrivs=0$'
        check "--no-privs takes all away, --drop-caps some, --add-caps gives back"
        run status --no-privs
        for set in CapInh CapPrm CapEff CapBnd CapAmb; do expect_out "^$set=0000000000000000$"; done
        run status --no-privs --add-caps CAP_CHOWN
        expect_out '^CapEff=0000000000000001$'
        run status --drop-caps CAP_CHOWN,kill
        value=$(sed -n 's/^CapBnd=//p' <<<"$OUT")
        expect_equal "$((0x$value & 0x21))" 0 "the bounding set holds what was dropped"
        [ "$((0x$value & 2))" = 2 ] || fail "more was dropped: $value"
        check "the configuration says what root has"
        SINGULARITY_ROOT_DEFAULT_CAPABILITIES=no run status
        expect_out '^CapEff=0000000000000000$'
        check "root becomes somebody else, without rights"
        run singularity exec --security uid:$USER_ID,gid:7:8 "$I" sh -c 'id -u; id -g; id -G; grep CapEff /proc/self/status; whoami'
        expect_equal "$OUT" $'61234\n7\n7 8\nCapEff:\t0000000000000000\nsgtester'
    fi
    check "--security uid and gid are what is seen inside"
    run me singularity exec --security uid:5,gid:6 "$I" sh -c 'id -u; id -g'
    expect_equal "$OUT" $'5\n6'
    check "a filter of system calls is in force for the program, and no other call is touched"
    cat >filter.json <<'J'
{"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1,
 "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]}],
 "syscalls": [{"names": ["mkdir", "mkdirat", "no_such_call"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
              {"names": ["rmdir", "unlinkat"], "action": "SCMP_ACT_ERRNO", "excludes": {"arches": ["amd64", "arm64"]}}]}
J
    chmod 644 filter.json
    run me singularity exec --security seccomp:filter.json "$I" sh -c 'mkdir d 2>&1; grep "^Seccomp:" /proc/self/status; touch f && rm f && echo fine'
    expect_out 'Function not implemented'
    expect_out '^Seccomp:.2$'
    expect_out '^fine$'
    check "profiles and kinds that cannot be understood are refused"
    echo '{"syscalls": []}' >bad.json
    echo '{"defaultAction": "SCMP_ACT_MAYBE"}' >maybe.json
    echo '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]}' >nobody.json
    echo '{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/nowhere/s", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]}' >nowhere.json
    chmod 644 bad.json maybe.json nobody.json nowhere.json
    for word in seccomp:bad.json seccomp:maybe.json seccomp:none.json seccomp:nobody.json seccomp:nowhere.json; do
        run me singularity exec --security $word "$I" true
        expect_failure
    done
    for word in uid uid:x what:1 gid:; do
        run me singularity exec --security $word "$I" true
        expect_failure 1
    done
    run me singularity exec --add-caps CAP_NET_RAWW "$I" true
    expect_failure 1
    expect_err 'CAP_NET_RAW'
    if [ ! -e /sys/module/apparmor ]; then
        check "labels of security modules that the kernel has not got are refused"
        run me singularity exec --security apparmor:some "$I" true
        expect_failure
        expect_err 'no AppArmor'
    fi
}
each_user rights

files() {
    own_prefix
    check "capability manages what users may ask for"
    ok singularity capability avail
    expect_out '^CAP_SYS_ADMIN: '
    run singularity capability avail CAP_NO_SUCH
    expect_failure 1
    if [ "$(id -u)" = 0 ]; then
        ok singularity capability add --user $USER_NAME net_raw
        ok singularity capability add --group root CAP_CHOWN
        ok singularity capability add --user $USER_NAME CAP_KILL
        ok singularity capability list
        expect_equal "$OUT" $'sgtester [user]: CAP_KILL,CAP_NET_RAW\nroot [group]: CAP_CHOWN'
        ok singularity capability list $USER_NAME
        refuse_out CHOWN
        ok singularity capability drop --user $USER_NAME all
        ok singularity capability list
        refuse_out "$USER_NAME"
        run singularity capability drop --user $USER_NAME all
        expect_failure
        run singularity capability add --user no-such-user CAP_KILL
        expect_failure
        run singularity capability add CAP_KILL
        expect_failure 1
        run as_user singularity capability add --user $USER_NAME CAP_KILL
        expect_failure
        expect_err 'only root may change'
        check "root's default can come from it"
        SINGULARITY_ROOT_DEFAULT_CAPABILITIES=file run status
        expect_out '^CapEff=0000000000000001$'
        echo '{' >"$PREFIX/etc/singularity/capability.json"
        run singularity capability list
        expect_failure
        expect_err 'capability.json'
    fi
}
files
expect_nothing_left
finish
