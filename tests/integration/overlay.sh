# Overlays: directories, file systems in files and in parts of an image, several at once, in memory; as root by the
# kernel, as a user by FUSE. What is seen inside is compared, and what was kept outside.
. "$(dirname "$0")/../support/lib.sh"

need_tool mke2fs debugfs mksquashfs
ok singularity build full.sif "oci:$IMAGES/full.oci"
ok singularity build --sandbox box "oci:$IMAGES/tiny.oci"
chmod 755 full.sif
chmod -R a+rX box
I=$PWD/full.sif B=$PWD/box
command -v fuse2fs >/dev/null && command -v fuse-overlayfs >/dev/null && EXT3_FOR_USERS=yes || EXT3_FOR_USERS=no
can_ext3() { [ "$WHO" = root ] || [ $EXT3_FOR_USERS = yes ] || { note "no fuse2fs and fuse-overlayfs"; return 1; }; }

directories() {
    check "a directory keeps what is written, and hides and replaces what the image has"
    me mkdir -p dir
    run me singularity exec -o dir "$I" sh -c 'echo new >/opt/new && rm /.singularity.d/labels.json && mkdir /made && cat /opt/new'
    expect_rc 0
    expect_equal "$OUT" new
    expect_equal "$(cat dir/upper/opt/new)" new
    run me singularity exec --no-home --overlay "$PWD/dir" "$I" sh -c 'cat /opt/new; ls -d /made; [ -e /.singularity.d/labels.json ] || echo gone'
    expect_rc 0
    expect_equal "$OUT" $'new\n/made\ngone'
    check "ro keeps it as it is"
    run me singularity exec --overlay "$PWD/dir:ro" "$I" sh -c 'cat /opt/new; echo x >/opt/x'
    [ "$RC" != 0 ] || fail "a read-only overlay was written"
    expect_equal "$OUT" new
    expect_absent dir/upper/opt/x
    SINGULARITY_OVERLAY="$PWD/dir:ro" run me singularity exec "$I" cat /opt/new
    expect_equal "$OUT" new
    check "a plain tree without upper/ is a layer as it is"
    me mkdir -p tree/opt
    me sh -c 'echo tree >tree/opt/file'
    run me singularity exec -o tree:ro "$I" cat /opt/file
    expect_equal "$OUT" tree
    check "later ones hide earlier ones, the one to be written to is on top wherever it stands"
    me mkdir -p a/upper/x b/upper/x top
    me sh -c 'echo a >a/upper/x/f; echo b >b/upper/x/f; echo a >a/upper/x/only-a'
    run me singularity exec -o a:ro -o b:ro "$I" cat /x/f /x/only-a
    expect_equal "$OUT" $'b\na'
    run me singularity exec -o top,a:ro,b:ro "$I" sh -c 'cat /x/f; echo t >/x/f; cat /x/f'
    expect_equal "$OUT" $'b\nt'
    expect_equal "$(cat top/upper/x/f)" t
    expect_equal "$(cat b/upper/x/f)" b
    check "binds find their places over an overlay, also new ones"
    me mkdir -p src && me sh -c 'echo bound >src/f'
    run me singularity exec -o top -B "$PWD/src:/brand/new" -B "$PWD/src:/x" "$I" cat /brand/new/f /x/f
    expect_equal "$OUT" $'bound\nbound'
    check "an overlay lies over a sandbox too"
    run me singularity exec -o boxed "$B" true
    expect_failure
    me mkdir boxed
    run me singularity exec -o boxed "$B" sh -c 'echo x >/file-of-overlay && cat /file-of-overlay'
    expect_rc 0
    expect_exists boxed/upper/file-of-overlay
    expect_absent "$B/file-of-overlay"
    check "--verbose says which kind it is"
    run me singularity --verbose exec -o top "$I" true
    expect_err '^VERBOSE: .*overlay by (the kernel|.*fuse-overlayfs)'
    check "an overlay that belongs to somebody else is said, and can be read"
    if [ "$(id -u)" = 0 ] && [ "$WHO" = user ]; then
        mkdir -p theirs/upper theirs/work && echo theirs >theirs/upper/file && chmod 777 theirs && chmod 755 theirs/*
        for option in --userns --fakeroot; do
            run me singularity exec $option --no-home -o theirs "$I" true
            expect_failure
            expect_err "overlay .*theirs: cannot write to its directory upper: Permission denied"
            expect_err "':ro'"
        done
        run me singularity exec -o theirs:ro "$I" cat /file
        expect_equal "$OUT" theirs
    fi
    check "what cannot be is refused, and nothing is left"
    run me singularity exec -o nothing "$I" true
    expect_failure
    expect_err 'overlay nothing: No such file'
    expect_err 'overlay create'
    run me singularity exec -o a -o b "$I" true
    expect_failure 1
    expect_err 'only one can be written to'
    run me singularity exec -o a --writable-tmpfs "$I" true
    expect_failure 1
    run me singularity exec -o a --writable "$B" true
    expect_failure 1
    run me singularity exec -w "$I" true
    expect_failure
    expect_err 'build --sandbox'
    me mkdir -p tricky && me ln -s /etc tricky/upper
    run me singularity exec -o tricky "$I" sh -c 'echo x >/of-tricky'
    expect_failure
    expect_err "'upper' in it is no directory"
    expect_absent /etc/of-tricky
    run me singularity exec -o tricky:ro "$I" sh -c 'ls /; ls /shadow'
    [ "$RC" != 0 ] || fail "a link in an overlay led to the host's /etc"
    if [ "$WHO" = user ]; then
        run me singularity exec -o "$B" "$I" true
        expect_failure
        expect_err "no right to write"
    fi
}
each_user directories

memory() {
    check "--writable-tmpfs writes to memory and forgets"
    run me singularity exec --writable-tmpfs "$I" sh -c 'echo x >/opt/x && cat /opt/x && rm -r /.singularity.d/labels.json && echo y >>/etc/new'
    expect_rc 0
    expect_equal "$OUT" x
    run me singularity exec --writable-tmpfs "$I" ls /opt/x
    [ "$RC" != 0 ] || fail "memory of an earlier container is there"
    if [ "$WHO" = user ]; then
        check "its size is the configuration's, and a full one is the program's failure"
        SINGULARITY_SESSION_SIZE=4 run me singularity exec --writable-tmpfs "$I" sh -c 'dd if=/dev/zero of=/opt/big bs=1M count=16 2>&1; ls -l /opt/big'
        expect_out 'No space left'
    fi
}
each_user memory

files() {
    check "overlay create makes an ext3 file of the given size"
    run me singularity overlay create --size 16 --create-dir /data/mine o.img
    expect_rc 0
    expect_equal "$(stat -c %s o.img)" $((16 << 20))
    run debugfs -R 'ls -l /' o.img
    expect_out ' upper'
    expect_out ' work'
    run debugfs -R 'stats' o.img
    expect_out 'has_journal'
    run me singularity overlay create --size 16 --sparse s.img
    expect_rc 0
    [ "$(stat -c %b s.img)" -lt 8192 ] || fail "a sparse file takes $(stat -c %b s.img) blocks"
    check "wrong sizes, places that are taken and directories that are not absolute are refused"
    run me singularity overlay create --size 0 z.img
    expect_failure 1
    run me singularity overlay create o.img
    expect_failure
    expect_err 'is there already'
    run me singularity overlay create --create-dir ../x z.img
    expect_failure 1
    expect_absent z.img
    run me singularity overlay create no/such/z.img
    expect_failure
    check "PATH without mke2fs is no hindrance where the system has it"
    run me env PATH="$PREFIX/bin:/usr/bin:/bin" singularity overlay create --size 8 tiny.img
    expect_rc 0

    if can_ext3; then
        check "an ext3 file keeps what is written"
        run me singularity exec -o o.img "$I" sh -c 'ls -d /data/mine && echo kept >/opt/kept && echo more >/data/mine/f'
        expect_rc 0
        run me singularity exec -o o.img:ro "$I" cat /opt/kept /data/mine/f
        expect_rc 0
        expect_equal "$OUT" $'kept\nmore'
        run me singularity exec -o o.img:ro "$I" sh -c 'echo x >/opt/x'
        [ "$RC" != 0 ] || fail "a read-only overlay was written"
        run e2fsck -fn o.img
        expect_rc 0
        check "two cannot write to it at once, and two can read it"
        start "$T/holder" me singularity exec -o o.img "$I" sh -c 'echo ready; trap "exit 0" TERM; while :; do sleep 0.1; done'
        until_says "$T/holder" ready
        HOLDER=$PID
        run me singularity exec -o o.img "$I" true
        expect_failure
        expect_err 'being used by another container'
        run me singularity exec -o o.img:ro "$I" true
        expect_failure
        kill -TERM "$HOLDER"
        wait "$HOLDER" 2>/dev/null
        start "$T/holder" me singularity exec -o o.img:ro "$I" sh -c 'echo ready; trap "exit 0" TERM; while :; do sleep 0.1; done'
        until_says "$T/holder" ready
        HOLDER=$PID
        run me singularity exec -o o.img:ro "$I" cat /opt/kept
        expect_equal "$OUT" kept
        kill -TERM "$HOLDER"
        wait "$HOLDER" 2>/dev/null
    else
        check "without fuse2fs the message names it"
        run me singularity exec -o o.img "$I" true
        expect_failure
        expect_err 'fuse2fs'
    fi
    check "a damaged or cut file system is refused before anything runs"
    head -c 1000000 o.img >cut.img
    chmod 666 cut.img
    run me singularity exec -o cut.img:ro "$I" true
    expect_failure
    expect_err 'cut short'

    check "a squashfs file is a layer that is only read"
    me mkdir -p sq/opt && me sh -c 'echo from-squashfs >sq/opt/file'
    mksquashfs sq sq.sqfs -quiet -no-progress >/dev/null
    chmod 644 sq.sqfs
    run me singularity exec -o sq.sqfs "$I" cat /opt/file
    expect_rc 0
    expect_equal "$OUT" from-squashfs
    me mkdir -p over
    run me singularity exec -o sq.sqfs -o over "$I" sh -c 'echo changed >/opt/file; cat /opt/file'
    expect_equal "$OUT" changed
    expect_equal "$(cat over/upper/opt/file)" changed
    check "a SIF without an overlay in it lies over another as it is"
    run me singularity exec -o "$I" "$B" ls /.singularity.d/runscript
    expect_rc 0
}
each_user files

inside() {
    check "overlay create puts one into a SIF, which is then written to with --writable"
    me cp "$I" own.sif
    run me singularity overlay create --size 16 own.sif
    expect_rc 0
    run me singularity sif list own.sif
    expect_out 'Ext3/Overlay'
    run me singularity overlay create --size 16 own.sif
    expect_failure
    expect_err 'has an overlay already'
    if can_ext3; then
        run me singularity exec --writable own.sif sh -c 'echo inside >/opt/inside'
        expect_rc 0
        run me singularity exec own.sif cat /opt/inside
        expect_equal "$OUT" inside
        run me singularity exec own.sif sh -c 'echo x >/opt/inside'
        [ "$RC" != 0 ] || fail "it was written without --writable"
        run me singularity exec -o own.sif:ro "$B" cat /opt/inside
        expect_equal "$OUT" inside
    fi
    check "a data part is bound by image-src and id"
    me mkdir -p data/in && me sh -c 'echo datum >data/in/f; ln -s /etc data/link'
    mksquashfs data data.sqfs -quiet -no-progress >/dev/null
    chmod 644 data.sqfs
    run me singularity exec -B data.sqfs:/d:image-src=/ "$I" cat /d/in/f
    expect_rc 0
    expect_equal "$OUT" datum
    run me singularity exec -B data.sqfs:/d/f:image-src=/in/f "$I" cat /d/f
    expect_equal "$OUT" datum
    me cp "$I" data.sif
    run me singularity sif add --datatype partition --parttype data --partfs squashfs --partarch amd64 data.sif data.sqfs
    expect_rc 0
    run me singularity exec --mount type=bind,src=data.sif,dst=/d,image-src=/in "$I" cat /d/f
    expect_equal "$OUT" datum
    id=$(me singularity sif list data.sif | sed -n 's/^\([0-9]*\) .*Data.*/\1/p' | tail -n 1)
    run me singularity exec -B "data.sif:/d:ro,id=${id:-4}" "$I" cat /d/in/f
    expect_equal "$OUT" datum
    run me singularity exec -B data.sif:/d:image-src=/nothing "$I" true
    expect_failure
    expect_err 'no /nothing in the image'
    run me singularity exec -B data.sif:/d:id=99 "$I" true
    expect_failure
    check "its links lead nowhere but into it"
    run me singularity exec -B data.sqfs:/d:image-src=/link "$I" true
    expect_failure
}
each_user inside

without_kernel() {
    command -v fuse-overlayfs >/dev/null && command -v gcc >/dev/null && user_namespaces && [ "$FUSE_FOR_USERS" = yes ] && [ "$(id -u)" = 0 ] ||
        { note "no fuse-overlayfs, compiler or FUSE for users"; return; }
    check "where the kernel has no overlay, fuse-overlayfs lays it, and --verbose says which and why"
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
    gcc -shared -fPIC -o "$T/shim.so" shim.c -ldl || fail "gcc"
    grep -v overlay /proc/filesystems >"$T/filesystems"
    chmod 755 "$T/shim.so" "$T/filesystems"
    mount --bind "$T/filesystems" /proc/filesystems
    WHO=user
    me mkdir -p "$USER_HOME/kept"
    local option
    for option in "--overlay $USER_HOME/kept" --writable-tmpfs; do
        # shellcheck disable=SC2086 # words
        run me env "LD_PRELOAD=$T/shim.so" singularity --verbose exec $option "$I" sh -c 'echo x >/opt/x && cat /opt/x; grep " / .* fuse.fuse-overlayfs " /proc/self/mountinfo'
        expect_rc 0
        expect_out '^x$'
        expect_out ' fuse.fuse-overlayfs '
        expect_err '^VERBOSE: overlay by .*fuse-overlayfs: .*No such device'
    done
    expect_exists "$USER_HOME/kept/upper/opt/x"
    umount /proc/filesystems
    WHO=root
}
without_kernel

SETTLE=20
expect_nothing_left
finish
