# Mounts and files: each row of what a container shows of the host, compared with what is seen inside, with and without
# --contain, as root and as a user (mountinfo, contents, ids, messages).
. "$(dirname "$0")/../support/lib.sh"

ok singularity build full.sif "oci:$IMAGES/full.oci"
ok singularity build --sandbox box "oci:$IMAGES/full.oci"
chmod 755 full.sif
chmod -R a+rwX box
I=$PWD/full.sif B=$PWD/box

# inside OPTIONS...: the container's mount table in $T/table, one "POINT FSTYPE OPTIONS" a line, the top mount of a point last.
inside() {
    run me singularity exec "$@" "$I" cat /proc/self/mountinfo
    expect_rc 0
    sed -n 's/^[0-9]* [0-9]* [^ ]* \([^ ]*\) \([^ ]*\) \([^ ]*\) .*- \([^ ]*\) .*/\2 \4 \3 \1/p' "$T/out" >"$T/table"
}
row() { grep "^$1 " "$T/table" | tail -n 1; }
expect_mount() { # POINT FSTYPE-regex OPTION...
    local line point=$1 type=$2 option
    line=$(row "$point")
    shift 2
    [ -n "$line" ] || { fail "nothing is mounted on $point"; return; }
    set -- "$line" "$@"
    [[ $(cut -d ' ' -f 2 <<<"$1") =~ ^($type)$ ]] || fail "$point is $1 and no $type"
    for option in "${@:2}"; do [[ ,$(cut -d ' ' -f 3 <<<"$1"), == *,$option,* ]] || fail "$point lacks $option: $1"; done
}
refuse_mount() { [ -z "$(row "$1")" ] || fail "$1 is mounted: $(row "$1")"; }
say() { me singularity exec "$@"; }

defaults() {
    check "without an option: what is mounted, and how"
    inside
    expect_mount / 'overlay|squashfs|fuse.singularity' ro nosuid nodev
    expect_mount /dev '.*'
    expect_mount /proc proc
    expect_mount /sys sysfs
    expect_mount /tmp '.*' rw nosuid nodev
    expect_mount /etc/hosts '.*' nosuid nodev
    expect_mount /etc/resolv.conf '.*' nosuid nodev
    expect_mount /etc/passwd tmpfs nosuid nodev
    expect_mount /etc/group tmpfs nosuid nodev
    home=$USER_HOME
    [ "$WHO" = user ] || home=/root
    expect_mount "$home" '.*' rw nosuid nodev
    check "the host's devices are all there, and its name servers, hosts and time"
    run say "$I" sh -c 'ls /dev | sort'
    expect_equal "$OUT" "$(ls /dev | sort)"
    for f in resolv.conf hosts localtime; do
        [ -f /etc/$f ] || continue
        run say "$I" cat /etc/$f
        expect_same_file "$T/out" /etc/$f
    done
    check "/etc/passwd has the user's line, /etc/group his groups"
    run say "$I" sh -c 'grep "^[^:]*:[^:]*:$(id -u):" /etc/passwd | cut -d : -f 1,6'
    if [ "$WHO" = user ]; then expect_equal "$OUT" "$USER_NAME:$USER_HOME"; else expect_equal "$OUT" "root:/root"; fi
    run say "$I" sh -c 'id -gn'
    expect_equal "$OUT" "$(me id -gn)"
    check "the image's other users stay"
    run say "$I" grep -c '^nobody:' /etc/passwd
    expect_equal "$OUT" 1

    check "--no-mount leaves out what it names"
    inside --no-mount sys,tmp,home,cwd,bind-paths
    for point in /sys /tmp /etc/hosts "$home"; do refuse_mount "$point"; done
    expect_mount /proc proc
    run say --no-mount proc "$I" ls /proc
    expect_equal "$OUT" ''
    run say --no-mount dev "$I" ls /dev
    refuse_out '^null$'
    inside --no-mount /etc/hosts
    refuse_mount /etc/hosts
    run say --no-mount what "$I" true
    expect_rc 0
    expect_err "unknown mount type 'what'"
    check "the configuration does the same"
    for key in PROC SYS TMP HOME; do
        export SINGULARITY_MOUNT_$key=no
        run say "$I" sh -c 'ls /proc | head -n 1; ls /sys | head -n 1; ls -d "$HOME"/* 2>/dev/null; true'
        expect_rc 0
        unset SINGULARITY_MOUNT_$key
    done
    SINGULARITY_MOUNT_TMP=no inside
    refuse_mount /tmp
    SINGULARITY_FILES_PASSWD=no SINGULARITY_FILES_GROUP=no SINGULARITY_FILES_RESOLV_CONF=no inside
    for point in /etc/passwd /etc/group /etc/resolv.conf; do refuse_mount $point; done
    SINGULARITY_MOUNT_DEV=minimal run say "$I" ls /dev
    expect_out '^null$'
    refuse_out '^(kmsg|loop0|sda)$'
    SINGULARITY_MOUNT_DEV=no run say "$I" ls /dev
    refuse_out '^null$'
}
each_user defaults

contained() {
    check "--contain: a /dev of its own with the usual devices"
    run say --contain "$I" sh -c 'ls /dev; readlink /dev/fd /dev/stdin; echo x >/dev/null && head -c 2 /dev/zero | wc -c; echo x >/dev/shm/x && ls /dev/shm; [ -e /dev/pts/ptmx ] && echo pts'
    expect_rc 0
    for name in fd full null ptmx pts random shm stderr stdin stdout tty urandom zero; do expect_out "^$name$"; done
    expect_out '^pts$'
    refuse_out '^(mqueue|kmsg|loop0)$'
    run say --contain --ipc "$I" ls /dev
    expect_out '^mqueue$'
    check "without devpts it has no terminals of its own"
    run say --contain --no-mount devpts "$I" ls /dev
    refuse_out '^(pts|ptmx)$'
    SINGULARITY_MOUNT_DEVPTS=no run say --contain "$I" ls /dev
    refuse_out '^(pts|ptmx)$'
    check "/etc/hosts of a contained network knows this machine alone"
    run say --contain --net --network none --hostname inside "$I" cat /etc/hosts
    expect_equal "$(head -n 1 <<<"$OUT")" "127.0.0.1 localhost inside"
    [ "$(wc -l <<<"$OUT")" = 2 ] || fail "it has more lines: $OUT"
    check "devices are added by name, or all at once"
    run say --contain -B /dev/loop-control "$I" ls /dev
    [ ! -e /dev/loop-control ] || expect_out '^loop-control$'
    refuse_out '^kmsg$'
    run say --contain -B /dev "$I" sh -c 'ls /dev | sort'
    expect_equal "$OUT" "$(ls /dev | sort)"
    check "home and tmp are empty, of this container alone, and can be written to"
    me touch "$T/tmp/on-host"
    run say --contain "$I" sh -c 'ls -A /tmp /var/tmp "$HOME"; stat -c "%a %u" /tmp /var/tmp "$HOME"; echo x >/tmp/x; echo x >"$HOME/x"'
    expect_rc 0
    refuse_out on-host
    expect_out '^1777 '
    expect_out "^700 $(me id -u)$"
    [ ! -e /tmp/x ] || fail "it was written to the host's /tmp"
    rm -f "$T/tmp/on-host"
    inside --contain
    expect_mount /tmp tmpfs nosuid nodev
    expect_mount /var/tmp tmpfs nosuid nodev
    check "it starts in the home, not in the host's directory"
    run say --contain "$I" sh -c 'pwd; echo $HOME'
    expect_equal "$(head -n 1 <<<"$OUT")" "$(tail -n 1 <<<"$OUT")"
    check "--workdir keeps them on the host"
    me mkdir -p work
    run say --contain --workdir work --scratch /scratch/a "$I" sh -c 'echo 1 >/tmp/1; echo 2 >/var/tmp/2; echo 3 >"$HOME/3"; echo 4 >/scratch/a/4'
    expect_rc 0
    for file in tmp/1 var_tmp/2 home/3 scratch/scratch/a/4; do expect_exists "work/$file"; done
    run say --contain --workdir no-such "$I" true
    expect_failure
    expect_err 'no-such'
    check "--scratch makes empty directories, with and without --contain"
    for with in --contain --userns; do
        run say $with --scratch /s1,/opt/s2 "$I" sh -c 'stat -c %a /s1 /opt/s2; ls -A /s1 /opt/s2; echo x >/s1/x && echo x >/opt/s2/x && echo fine'
        expect_equal "$OUT" $'1777\n1777\n/opt/s2:\n\n/s1:\nfine' || true
    done
    check "--containall and --compat"
    MINE=yes run say --containall "$I" sh -c 'echo "${MINE:-clean}"; cat /proc/1/comm'
    expect_equal "$OUT" $'clean\nappinit'
    run say --compat "$I" sh -c 'echo $$; umask; echo x >/opt/x && echo written; ls -A "$HOME"'
    expect_equal "$OUT" $'1\n0022\nwritten'
    check "the caller's umask passes, --no-umask sets 0022"
    run bash -c "umask 0027; $(printf '%q ' "${USER_WORDS[@]}") singularity exec '$I' sh -c umask"
    expect_equal "$OUT" 0027
    run bash -c "umask 0027; $(printf '%q ' "${USER_WORDS[@]}") singularity exec --no-umask '$I' sh -c umask"
    expect_equal "$OUT" 0022
}
each_user contained

binds() {
    me mkdir -p src/deep 'with,comma' 'with:colon' && me sh -c 'echo one >src/one; echo two >src/deep/two; echo c >with,comma/f; echo d >with:colon/f'
    check "the forms of --bind"
    run say -B "$PWD/src:/x,$PWD/src/one:/y/file:ro" -B "$PWD/with\\,comma:/c" -B "$PWD/with\\:colon:/d" "$I" cat /x/one /y/file /c/f /d/f
    expect_equal "$OUT" $'one\none\nc\nd'
    SINGULARITY_BIND="$PWD/src:/x" SINGULARITY_BINDPATH="$PWD/src:/w" run say "$I" cat /x/one /w/one
    expect_equal "$OUT" $'one\none'
    APPTAINER_BIND="$PWD/src:/x" run say "$I" cat /x/one
    expect_equal "$OUT" one
    SINGULARITY_MOUNT=$'type=bind,src=src,dst=/x\ntype=bind,source=src,target=/z,readonly' run say "$I" cat /x/one /z/one
    expect_equal "$OUT" $'one\none'
    inside -B src:/x:ro -B src:/w
    expect_mount /x '.*' ro nosuid nodev
    expect_mount /w '.*' rw nosuid nodev
    check "binds below binds: in the order given, later on top"
    check "a place that a bound directory lacks is made in it, as far as it can be written to"
    run say -B src:/x -B src/deep:/x/new/er -B src/one:/x/two "$I" cat /x/new/er/two /x/two
    expect_equal "$OUT" $'two\none'
    run ls src/new/er
    expect_equal "$OUT" ""
    rm -r src/new src/two
    run say -B src:/x:ro -B src/deep:/x/new "$I" true
    expect_failure
    expect_err "destination /x/new doesn't exist in container"
    expect_err "it cannot be made in what is mounted at /x"
    expect_absent src/new
    check "what is put in the place of the current directory is what is seen there"
    me mkdir -p here
    run say -B "$PWD/src:$PWD/here" --pwd / "$I" cat "$PWD/here/one"
    expect_equal "$OUT" one
    cd here
    run say -B "$PWD/../src:$PWD" "$I" cat one
    expect_equal "$OUT" one
    run say --contain --home "$PWD/../src:/tmp/home" "$I" sh -c "pwd; cat one"
    expect_equal "$OUT" $'/tmp/home\none'
    cd ..
    rmdir here
    run say -B src:/x -B src/deep:/x/deep -B src/one:/x/deep/two "$I" cat /x/deep/two
    expect_equal "$OUT" one
    run say -B src:/x -B src/deep:/x "$I" cat /x/one
    expect_rc 0
    expect_equal "$OUT" one
    expect_err 'already bound'
    check "binds that lead to each other in a circle, and the whole host below itself"
    mkdir -p src/ring
    run say -B "src:$PWD/src/ring" -B "src/ring:$PWD/src" "$I" ls "$PWD/src"
    [ "$RC" = 0 ] || expect_failure
    run say -B /:/host -B "/:/host$PWD/src" "$I" cat "/host$PWD/src/etc/hostname"
    [ "$RC" = 0 ] || expect_failure
    rmdir src/ring
    check "links of the image stay in it"
    run say -B "$PWD/src:/var/run/x" "$I" cat /var/run/x/one
    expect_rc 0
    check "wrong binds are refused by name"
    run say -B src:relative "$I" true
    expect_failure 1
    expect_err 'must be absolute'
    run say -B src:/ "$I" true
    expect_failure
    run say -B no-such:/x "$I" true
    expect_failure
    expect_err "mount source .*no-such doesn't exist"
    run say -B src:/etc/passwd/below "$I" true
    expect_failure
    run say -B src/one:/opt "$I" true
    expect_failure
    expect_err 'a file can only lie on a file'
    run say -B src:/x:what "$I" true
    expect_failure 1
    check "a destination that a writable sandbox lacks: fatal for a bind, a warning for the rest"
    run me singularity exec --writable --no-home -B src:/not/there "$B" true
    expect_failure
    expect_err "destination /not/there doesn't exist in container"
    expect_err 'make it in the image first$'
    check "so is a home, as in Apptainer, with what to do"
    cp -a "$B" homeless
    rm -rf homeless/home homeless/root homeless/srv homeless/mnt
    run me singularity shell --writable homeless -c true
    expect_failure
    expect_err "while mounting .*: destination .* doesn't exist in container"
    expect_err 'make it in the image first, or leave the home out by --no-home'
    run me singularity exec --writable --no-home homeless true
    expect_rc 0
    rm -rf homeless
    check "user binds can be forbidden"
    SINGULARITY_BIND_USER=no run say -B src:/x "$I" ls /x
    [ "$RC" != 0 ] || fail "a forbidden bind was made"
    expect_err 'bind.user'
    SINGULARITY_BIND_USER=no run say --scratch /x "$I" true
    expect_failure

    check "--home in all forms"
    run say --home "$PWD/src:/home/else" "$I" sh -c 'echo $HOME; cat $HOME/one'
    expect_equal "$OUT" $'/home/else\none'
    run say --home "$PWD/src" "$I" sh -c 'echo $HOME; cat $HOME/one'
    expect_equal "$OUT" "$PWD/src"$'\none'
    run say --home src "$I" sh -c 'echo $HOME'
    expect_equal "$OUT" "$PWD/src"
    run say --contain --home "$PWD/src:/home/else" "$I" cat /home/else/one
    expect_equal "$OUT" one
    run say --home no-such "$I" true
    expect_failure
    run say --home "$PWD/src:relative" "$I" true
    expect_failure 1
    check "--contain: a bind below a directory of the container's own memory is shown there, as is one below a scratch directory"
    run say --contain -B "$PWD/src:/tmp/deep/er" -B "$PWD/src/one:/var/tmp/file" --scratch /own -B "$PWD/src:/own/src" "$I" sh -c 'cat /tmp/deep/er/one /var/tmp/file /own/src/one; ls -A /tmp /own'
    expect_rc 0
    expect_equal "$OUT" "$(printf '%s\n' one one one /own: src '' /tmp: deep)"
    [ ! -e /tmp/deep ] || fail "the mount point was made in the host's /tmp"
    check "--no-mount leaves files out that are made to fit the host"
    run say --no-mount /etc/resolv.conf,/etc/passwd "$I" sh -c 'cut -d" " -f5 /proc/self/mountinfo'
    refuse_out '^/etc/(resolv.conf|passwd)$'
    expect_out '^/etc/group$'
    check "--dns writes the name servers, --hostname the name"
    run say --dns 192.0.2.1,192.0.2.2 --hostname other "$I" cat /etc/resolv.conf /etc/hostname
    expect_equal "$OUT" $'nameserver 192.0.2.1\nnameserver 192.0.2.2\nother'
    run say --dns fe80::1%eth0 "$I" cat /etc/resolv.conf
    expect_equal "$OUT" 'nameserver fe80::1%eth0'
    run say --dns 192.0.2.1,dns.example.org "$I" true
    expect_failure 1
    expect_err 'dns dns\.example\.org: not the address'
    run say --hostname 'two words' "$I" true
    expect_failure 1
    expect_err 'hostname two words: not a host name'
}
each_user binds

directories() {
    check "the current directory is there, even where the image has nothing of the kind"
    local place
    for place in /media/sg.cwd.$WHO /sgcwd.$WHO; do
        mkdir -p "$place/below" && chmod 777 "$place" "$place/below" || continue
        cd "$place/below" || continue
        run say "$I" sh -c 'pwd; touch made'
        expect_rc 0
        expect_equal "$OUT" "$place/below"
        expect_exists made
        run say --no-mount cwd "$I" pwd
        expect_rc 0
        [ "$OUT" != "$place/below" ] || fail "it is there in spite of --no-mount cwd"
        cd "$T/w" && rm -rf "$place"
    done
    check "a directory that was removed is no reason to fail"
    me mkdir -p gone
    run bash -c "cd gone && rmdir ../gone && $(printf '%q ' "${USER_WORDS[@]}") singularity exec '$I' echo fine"
    expect_rc 0
    expect_out fine
    check "--pwd that is not there is fatal, one that cannot be entered too"
    run say --pwd /no/such "$I" true
    expect_failure
    expect_err '/no/such'
}
each_user directories

site() {
    own_prefix
    mkdir -p "$T/w/site" "$PREFIX/etc/singularity/conf.d"
    echo of-the-site >"$T/w/site/file"
    chmod -R a+rX "$T/w/site"
    check "bind paths of the configuration are mounted, and a missing one is a warning"
    printf 'bind:\n  paths: [/etc/localtime, /etc/hosts, "%s:/site", "/no/such/thing"]\n' "$T/w/site" >"$PREFIX/etc/singularity/conf.d/10-site.yaml"
    run singularity exec "$I" cat /site/file
    expect_rc 0
    expect_equal "$OUT" of-the-site
    expect_err 'Skipping mount /no/such/thing \[binds\]'
    for option in bind-paths /site; do
        run singularity exec --no-mount $option "$I" ls /site
        [ "$RC" != 0 ] || fail "--no-mount $option left it"
    done
    check "hostfs shows every file system of the host but the system's own"
    mkdir -p /mnt/sg-hostfs.$$ && mount -t tmpfs sg-hostfs /mnt/sg-hostfs.$$ && echo host >/mnt/sg-hostfs.$$/file
    echo 'mount: {hostfs: yes}' >"$PREFIX/etc/singularity/conf.d/20-hostfs.yaml"
    run singularity exec "$I" cat /mnt/sg-hostfs.$$/file
    expect_equal "$OUT" host
    run singularity exec --contain "$I" ls /mnt/sg-hostfs.$$
    [ "$RC" != 0 ] || fail "--contain left hostfs"
    run singularity exec --no-mount hostfs "$I" cat /mnt/sg-hostfs.$$/file
    [ "$RC" != 0 ] || fail "--no-mount hostfs left it"
    umount /mnt/sg-hostfs.$$ && rmdir /mnt/sg-hostfs.$$
}
[ "$(id -u)" != 0 ] || site

programs() {
    command -v squashfuse_ll >/dev/null && command -v mksquashfs >/dev/null || { note "no squashfuse_ll and mksquashfs"; return; }
    me mkdir -p tree && me sh -c 'echo served >tree/file'
    mksquashfs tree tree.sqfs -quiet -no-progress >/dev/null
    chmod 644 tree.sqfs
    check "--fusemount: a program of the host serves a directory"
    run say --fusemount "host:squashfuse_ll $PWD/tree.sqfs /served" "$I" cat /served/file
    expect_rc 0
    expect_equal "$OUT" served
    run say --pid --fusemount "host-daemon:squashfuse_ll $PWD/tree.sqfs /served" "$I" cat /served/file
    expect_equal "$OUT" served
    check "a program of the container does"
    run say -B /usr:/usr:ro,/lib:/lib:ro,/lib64:/lib64:ro,"$PWD:/here" --fusemount "container:/usr/bin/squashfuse_ll /here/tree.sqfs /served" "$I" cat /served/file
    expect_rc 0
    expect_equal "$OUT" served
    check "what cannot be started or served is refused in its own words"
    run say --fusemount "host:no-such-program x /served" "$I" true
    expect_failure
    expect_err 'no program no-such-program'
    run say --fusemount "host:squashfuse_ll $PWD/nothing.sqfs /served" "$I" true
    expect_failure
    run say --fusemount "host:squashfuse_ll" "$I" true
    expect_failure 1
    run say --fusemount "host:squashfuse_ll x relative" "$I" true
    expect_failure 1
}
each_user programs

if [ "$(id -u)" = 0 ]; then
    check "somebody whom the machine does not know has the home that HOME names"
    mkdir -m 700 stranger && chown 54321 stranger
    run env HOME="$PWD/stranger" setpriv --reuid 54321 --regid 54321 --clear-groups singularity exec --userns "$B" sh -c 'echo $HOME; touch $HOME/mine; id -un'
    expect_rc 0
    expect_equal "$OUT" "$PWD/stranger"$'\nuid54321'
    refuse_err 'home'
    expect_exists stranger/mine
    check "a program on a file system without execution is told so"
    mkdir noexec && mount -t tmpfs -o noexec,mode=755 sgtest noexec && printf '#!/bin/sh\n' >noexec/script && chmod 755 noexec/script
    run singularity exec -B "$PWD/noexec:/noexec" "$I" /noexec/script
    expect_failure
    expect_err "cannot run /noexec/script: Permission denied"
    expect_err "mounted 'noexec'"
    umount noexec
fi

# A service keeps the name servers in /run and replaces its file; /etc/resolv.conf is a link to that (as systemd-resolved does it).
resolved() {
    seen() { run say "$@" "$I" sh -c 'readlink /etc/resolv.conf; cat /etc/resolv.conf'; expect_rc 0; }
    echo 'nameserver 192.0.2.1' >/run/resolve/stub.conf
    check "/etc/resolv.conf that leads into /run: the link and its directory are shown, read-only"
    for option in --userns --contain --pid "--launcher=oci-runtime"; do
        case $option in *oci*) command -v crun >/dev/null || command -v runc >/dev/null || continue ;; esac
        seen "$option"
        expect_equal "$OUT" $'../run/resolve/stub.conf\nnameserver 192.0.2.1' "seen with $option"
    done
    run say "$I" sh -c 'echo x >/run/resolve/new'
    [ "$RC" != 0 ] && [ ! -e /run/resolve/new ] || fail "the directory can be written to"
    check "a container that runs sees the file's replacement"
    ok me singularity instance start "$I" "r$WHO"
    printf 'nameserver 192.0.2.2\n' >/run/resolve/next && mv /run/resolve/next /run/resolve/stub.conf
    run say "instance://r$WHO" cat /etc/resolv.conf
    expect_equal "$OUT" 'nameserver 192.0.2.2'
    ok me singularity instance stop "r$WHO"
    check "where the directory cannot be shown, or something else lies there, the file is"
    me mkdir -p run
    seen -B "$PWD/run:/run"
    expect_equal "$OUT" 'nameserver 192.0.2.2'
    run say --writable --no-home "$B" cat /etc/resolv.conf
    expect_rc 0
    expect_equal "$OUT" 'nameserver 192.0.2.2'
    refuse_err resolve
    seen --dns 192.0.2.9
    expect_equal "$OUT" 'nameserver 192.0.2.9'
}
if [ "$(id -u)" = 0 ]; then
    cp -a /etc "$T/etc" && rm "$T/etc/resolv.conf" && ln -s ../run/resolve/stub.conf "$T/etc/resolv.conf" && mount --bind "$T/etc" /etc
    mount -t tmpfs -o mode=755 sgtest-run /run && mkdir /run/resolve
    each_user resolved
    umount /run /etc
fi

SETTLE=20
expect_nothing_left
finish
