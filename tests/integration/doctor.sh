# doctor: what it predicts is what exec then does; exec's errors point to it.
. "$(dirname "$0")/../support/lib.sh"
ok singularity build full.sif "oci:$IMAGES/full.oci"
ok singularity build --sandbox full "oci:$IMAGES/full.oci"
chmod 755 full.sif
I=$PWD

# state NAME: of that check in the JSON in $T/out; member KEY: of the whole.
state() { python3 -c 'import json,sys; print(next((c["state"] for c in json.load(open(sys.argv[1]))["checks"] if c["name"] == sys.argv[2]), "absent"))' "$T/out" "$1"; }
cure() { python3 -c 'import json,sys; print(next((c["cure"] for c in json.load(open(sys.argv[1]))["checks"] if c["name"] == sys.argv[2]), "absent"))' "$T/out" "$1"; }
member() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$T/out" "$1"; }

healthy() {
    check "where all is there, it says so, and exec works"
    run me singularity doctor --json
    [ "$WHO" = root ] || [ "$FUSE_FOR_USERS" = yes ] || return
    expect_rc 0
    expect_equal "$(member run) $(member build)" "True True"
    run me singularity exec "$I/full.sif" true
    expect_rc 0
    run me singularity doctor
    expect_rc 0
    expect_out '^Running image files: yes$'
    expect_out '^FUSE +ok'
    check "a password in a proxy's address is not shown"
    https_proxy=http://user:secret@proxy:3128 run me singularity doctor
    expect_out 'https_proxy=http://\*\*\*@proxy:3128'
    refuse_out secret
    check "a cache that cannot be written is found"
    SINGULARITY_CACHEDIR=/proc/nowhere run me singularity doctor --json
    expect_rc 255
    expect_equal "$(state cache) $(member build)" "missing False"
    check "it leaves nothing behind"
}
each_user healthy

if [ "$(id -u)" = 0 ]; then
    check "root in a chroot that is no mount point: nothing runs, and both say what helps"
    mkdir -p "$T/root$SG_STAGE"
    for d in /usr /bin /sbin /lib /lib64 /etc /dev /proc "$SG_STAGE"; do [ ! -e "$d" ] || { mkdir -p "$T/root$d" && mount --bind "$d" "$T/root$d"; }; done
    inside() { run unshare --mount --propagation private chroot "$T/root" env HOME=/ "$PREFIX/bin/singularity" "$@"; }
    inside doctor --json
    expect_rc 255
    expect_equal "$(state 'mount namespaces') $(member run) $(member runDirectories)" "missing False False"
    expect_equal "$(cure 'mount namespaces' | grep -o 'mount --bind DIR DIR')" "mount --bind DIR DIR"
    inside exec "$I/full" true
    expect_failure
    expect_err 'mount --bind DIR DIR'
    for d in /usr /bin /sbin /lib /lib64 /etc /dev /proc "$SG_STAGE"; do [ ! -e "$T/root$d" ] || umount "$T/root$d"; done
fi

[ "$(id -u)" = 0 ] && user_namespaces || { note "no more can be taken away here"; expect_nothing_left; finish; }
WHO=user

check "no /dev/fuse for users: image files no, directories yes"
mknod -m 600 "$T/fuse600" c 10 229 && mount --bind "$T/fuse600" /dev/fuse
run me singularity doctor --json
expect_rc 255
expect_equal "$(state FUSE) $(member run) $(member runDirectories)" "missing False True"
expect_equal "$(cure FUSE | cut -d ' ' -f 1-3)" "chmod 0666 /dev/fuse"
run me singularity exec "$I/full.sif" true
if [ "$RC" != 0 ]; then
    expect_failure
    expect_err '/dev/fuse'
    expect_err 'singularity doctor'
fi
run me singularity exec "$I/full" true
expect_rc 0
umount /dev/fuse

check "no user namespaces: nothing runs"
none='echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"'
if as_user unshare -Ur bash -c "$none" x true 2>/dev/null; then
    run as_user unshare -Ur bash -c "$none" x singularity doctor --json
    expect_rc 255
    expect_equal "$(member run) $(member runDirectories)" "False False"
    expect_equal "$(cure 'user namespaces')" "sysctl -w user.max_user_namespaces=15000"
    run as_user unshare -Ur bash -c "$none" x singularity exec "$I/full" true
    expect_failure
    expect_err 'Failed to create user namespace'
    expect_err 'user.max_user_namespaces'
    expect_err 'singularity doctor'
else
    note "the limit of user namespaces cannot be set here"
fi

check "no overlay: what needs one fails as foretold, the rest runs"
cat >shim.c <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <string.h>
int mount(const char *a, const char *b, const char *type, unsigned long f, const void *d) {
    if (type && !strcmp(type, "overlay")) return errno = ENODEV, -1;
    return ((int (*)(const char *, const char *, const char *, unsigned long, const void *))dlsym(RTLD_NEXT, "mount"))(a, b, type, f, d);
}
END
if command -v gcc >/dev/null && gcc -shared -fPIC -o "$T/shim.so" shim.c -ldl; then
    chmod 755 "$T/shim.so"
    run as_user env "LD_PRELOAD=$T/shim.so" singularity doctor --json
    expect_equal "$(state overlay)" limited
    expect_equal "$(cure overlay)" "modprobe overlay"
    run as_user env "LD_PRELOAD=$T/shim.so" singularity exec --writable-tmpfs "$I/full.sif" true
    expect_failure
    expect_err 'overlay'
    expect_err 'singularity doctor'
    run as_user env "LD_PRELOAD=$T/shim.so" singularity exec "$I/full.sif" true
    expect_rc 0
else
    note "no compiler here"
fi

check "subordinate ids: with a range, without, without newuidmap"
echo "$USER_NAME:700000:65536" >"$T/ids"
: >"$T/none"
chmod 644 "$T/ids" "$T/none"
for f in subuid subgid; do [ -e /etc/$f ] || touch /etc/$f; mount --bind "$T/ids" /etc/$f; done
finding() { python3 -c 'import json,sys; print(next((c["finding"] for c in json.load(open(sys.argv[1]))["checks"] if c["name"] == sys.argv[2]), "absent"))' "$T/out" "$1"; }
all_words=("${USER_WORDS[@]}") USER_WORDS=()
for word in "${all_words[@]}"; do [ "$word" = --bounding-set=-all ] || USER_WORDS+=("$word"); done
if program=$(command -v newuidmap); then
    run me singularity doctor --json
    expect_equal "$(state 'subordinate ids')" ok
    check "subordinate ids that nothing can map: it says what takes newuidmap its rights"
    USER_WORDS=("${all_words[@]}")
    run me singularity doctor --json
    expect_equal "$(state 'subordinate ids')" limited
    case $(finding 'subordinate ids') in *"capability bounding set lacks cap_setuid"*) ;; *) fail "$(finding 'subordinate ids')" ;; esac
    case $(finding 'owners in builds') in *"subordinate ids that can be mapped"*) ;; *) fail "$(finding 'owners in builds')" ;; esac
    USER_WORDS=(setpriv --no-new-privs "${all_words[@]:1}")
    run me singularity doctor --json
    case $(finding 'subordinate ids') in *no_new_privs*) ;; *) fail "$(finding 'subordinate ids')" ;; esac
    USER_WORDS=()
    for word in "${all_words[@]}"; do [ "$word" = --bounding-set=-all ] || USER_WORDS+=("$word"); done
    cp "$program" "$T/newuidmap" && chmod 755 "$T/newuidmap" && mount --bind "$T/newuidmap" "$program"
    run me singularity doctor --json
    expect_equal "$(state 'subordinate ids')" limited
    expect_equal "$(cure 'subordinate ids')" "chmod u+s $program"
    umount "$program"
else
    run me singularity doctor --json
    expect_equal "$(state 'subordinate ids')" limited
fi
USER_WORDS=("${all_words[@]}")
umount /etc/subgid
mount --bind "$T/none" /etc/subgid
run me singularity doctor --json
expect_equal "$(state 'subordinate ids')" limited
expect_equal "$(cure 'subordinate ids' | cut -d ' ' -f 1)" usermod
umount /etc/subgid /etc/subuid
expect_nothing_left
finish
