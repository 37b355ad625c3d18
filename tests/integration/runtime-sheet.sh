# What a container shows: each of its rows tried as root and as an ordinary user, as it is and with --contain,
# and held against what is seen inside. The rows are in runtime-sheet.rows.
. "$(dirname "$0")/../support/lib.sh"
need_root
need_tool python3 mksquashfs mke2fs
user_namespaces && [ "$FUSE_FOR_USERS" = yes ] || skip "needs user namespaces and /dev/fuse for ordinary users"

# What the rows need of the host, away from /tmp and the homes, which containers have anyway.
W=/media/sheet
mount -t tmpfs -o mode=755 sgtest-sheet /media
mkdir -p $W/cwd/{root,user} $W/{src/sub,work/{root,$USER_NAME},upper/{root,$USER_NAME},layers/{a,b},data/in} $W/{noexec,readonly,shared}
echo source >$W/src/file
echo sub >$W/src/sub/of-sub
mkdir $W/src/sub/deep
echo sub >$W/src/sub/deep/of-sub
echo datum >$W/data/in/file
echo a | tee $W/layers/a/layer >$W/layers/a/of-a
echo b >$W/layers/b/layer
echo "B='two words'" >$W/file.env
printf '[pids]\nlimit = 30\n' >$W/limits.toml
echo '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}' >$W/filter.json
cp "$(readlink -f /lib*/ld-linux*.so.* | head -n 1)" $W/libsheet.so
chown -R $USER_ID:$USER_ID $W/cwd/user $W/{work,upper}/$USER_NAME
chmod 1777 $W/src $W/src/sub
mount -t tmpfs -o noexec,mode=1777 sgtest-noexec $W/noexec
mount -t tmpfs -o mode=1777 sgtest-readonly $W/readonly && mount -o remount,ro,bind $W/readonly
mount -t tmpfs -o mode=1777 sgtest-shared $W/shared && mount --make-shared $W/shared
mksquashfs $W/data $W/data.sqfs -quiet -no-progress >/dev/null
echo tmp >"$T/tmp/of-tmp"
echo $USER_NAME >"$USER_HOME/of-home"
echo root >"$HOME/of-home"

ok singularity build $W/full.sif "oci:$IMAGES/full.oci"
ok singularity build --sandbox $W/box "oci:$IMAGES/full.oci"
ok singularity build --sandbox $W/bare "oci:$IMAGES/full.oci"
rm -rf $W/box/{srv,mnt,media,lab/secret} $W/bare/lab $W/bare/etc/{passwd,group}
ln -sf ../no/such/zone $W/bare/etc/localtime
chmod -R a+rwX $W/box $W/bare
mksquashfs $W/box $W/box.sqfs -quiet -no-progress >/dev/null
mke2fs -q -t ext3 -d $W/box $W/box.img 24m >/dev/null 2>&1 || fail "mke2fs makes no image"
chmod 755 $W/*.sif $W/*.sqfs $W/*.img
[ -e /etc/localtime ] && ZONE=$(wc -c </etc/localtime) || ZONE='.*'
baseline

sheet() {
    (
        umask 0027
        ulimit -c 0 && ulimit -n 1000
        export SHEET_USER_WORDS="${USER_WORDS[*]@Q}" SHEET_USERS="root user" SHEET_USER_HOME=$USER_HOME SHEET_USER_ID=$USER_ID SHEET_USER_NAME=$USER_NAME \
            SHEET_CWD=$W/cwd SHEET_IMAGE=$W/full.sif SHEET_BOX=$W/box SHEET_BARE=$W/bare SHEET_SQUASHFS=$W/box.sqfs SHEET_EXT3=$W/box.img \
            SHEET_SRC=$W/src SHEET_WORK=$W/work SHEET_UPPER=$W/upper SHEET_LAYERS=$W/layers SHEET_DATA=$W/data.sqfs SHEET_TMP=$T/tmp \
            SHEET_NOEXEC=$W/noexec SHEET_READONLY=$W/readonly SHEET_SHARED=$W/shared SHEET_LIBRARY=$W/libsheet.so SHEET_ENVFILE=$W/file.env \
            SHEET_SECCOMP=$W/filter.json SHEET_CGROUPS=$W/limits.toml SHEET_CAPEFF="$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)" \
            SHEET_TEXT_DEVICES="$(ls /dev | grep -v ^loop | sort)" SHEET_TEXT_RESOLV="$(cat /etc/resolv.conf)" SHEET_TEXT_HOSTS="$(cat /etc/hosts)" SHEET_ZONE="$ZONE"
        python3 "$SUPPORT/sheet.py" "$SG_SOURCE/tests/integration/runtime-sheet.rows"
    )
}
WHO=''
check "each row of the sheet"
sheet || FAILURES=$((FAILURES + 1))

check "a home that the machine lacks is a directory in memory"
sed 's#^\(root\|'$USER_NAME'\):\(.*\):/[^:]*:\([^:]*\)$#\1:\2:/no/such/home:\3#' /etc/passwd >"$T/passwd.homeless"
chmod 644 "$T/passwd.homeless"
mount --bind "$T/passwd.homeless" /etc/passwd
for WHO in root user; do
    run me env HOME=/no/such/home singularity exec $W/full.sif sh -c 'grep " $HOME .* - tmpfs " /proc/self/mountinfo && echo x >"$HOME/x" && stat -c %a "$HOME"'
    expect_rc 0
    expect_out '^700$'
done
umount /etc/passwd

check "a contained container's terminal is /dev/console"
if command -v script >/dev/null; then
    for WHO in root user; do
        run me script -qec "singularity exec --contain $W/full.sif sh -c 'tty; readlink /proc/self/fd/0; readlink /proc/self/fd/1; [ -t 1 ] && [ -t 2 ] && echo well'" /dev/null
        expect_equal "$(grep -c '^/dev/console' "$T/out")" 3
        expect_out '^well'
    done
fi
WHO=root
umount $W/noexec $W/readonly $W/shared
SETTLE=20
expect_nothing_left
finish
