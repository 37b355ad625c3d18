# Hostile images: whatever stands in an image, running it touches nothing of the host outside of what was bound, hangs
# nowhere, and says what is wrong. Each image runs as a squashfs file and as a directory, as root and as a user, with
# several options, beside a canary tree that must neither be read nor changed.
. "$(dirname "$0")/../support/lib.sh"

need_root
need_tool mksquashfs busybox python3
# Shared by no container: neither below /tmp nor a home.
mount -t tmpfs -o mode=755 sgtest-canary /media
mkdir -p /media/canary/etc /media/canary/env /media/canary/dir
echo "CANARY:x:0:0:CANARY:/:/bin/sh" | tee /media/canary/passwd /media/canary/etc/passwd /media/canary/etc/group /media/canary/etc/resolv.conf \
    /media/canary/etc/hosts /media/canary/dir/file >/dev/null
echo 'CANARY=read; export CANARY' >/media/canary/env/10-canary.sh
chmod -R a+rwX /media/canary
tree() { (cd /media && find . -printf '%p %y %m %U:%G %T@ %s\n' | sort; find . -type f -exec cat {} +); }
BEFORE=$(tree)
C=/media/canary

BASE=$T/base
mkdir -p "$BASE"/{bin,etc,proc,sys,dev,tmp,var/tmp,root,srv,mnt,opt,.singularity.d/env,.singularity.d/libs}
cp "$(command -v busybox)" "$BASE/bin/busybox"
for a in sh true cat ls env id echo find; do ln -s busybox "$BASE/bin/$a"; done
echo 'root:x:0:0:root:/root:/bin/sh' >"$BASE/etc/passwd"
echo 'root:x:0:' >"$BASE/etc/group"
touch "$BASE/etc/resolv.conf" "$BASE/etc/hosts" "$BASE/etc/localtime"
printf '#!/bin/sh\nexec "$@"\n' >"$BASE/.singularity.d/runscript"
chmod 755 "$BASE/.singularity.d/runscript"
chmod 1777 "$BASE/tmp" "$BASE/var/tmp"

# One line each: name, "runs" (the command must still work) or "any", and what changes the tree (in it).
corpus() {
    cat <<'X'
plain runs :
etc-is-an-absolute-link any rm -r etc; ln -s $C/etc etc
etc-is-a-climbing-link any rm -r etc; ln -s ../../../../../../media/canary/etc etc
passwd-is-an-absolute-link any ln -sf $C/passwd etc/passwd
passwd-is-a-climbing-link any ln -sf ../../../../../../../media/canary/passwd etc/passwd
passwd-is-a-fifo any rm etc/passwd; mkfifo etc/passwd
passwd-is-a-directory any rm etc/passwd; mkdir etc/passwd
passwd-is-a-device any rm etc/passwd; mknod etc/passwd c 1 5
passwd-is-a-socket any rm etc/passwd; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("etc/passwd")'
passwd-is-30-megabytes any head -c 30000000 /dev/zero | tr '\0' 'x' >etc/passwd
passwd-has-no-newline-and-odd-lines runs printf 'root\n:::::::::\nx:y:z\n\377\376::::::\nroot:x:0:0' >etc/passwd
group-is-an-absolute-link any ln -sf $C/etc/group etc/group
group-is-a-fifo any rm etc/group; mkfifo etc/group
resolv-is-an-absolute-link runs ln -sf $C/etc/resolv.conf etc/resolv.conf
resolv-is-a-climbing-link runs ln -sf ../../../../media/canary/etc/resolv.conf etc/resolv.conf
resolv-dangles runs ln -sf /no/such etc/resolv.conf
resolv-is-a-directory any rm etc/resolv.conf; mkdir etc/resolv.conf
hosts-is-an-absolute-link runs ln -sf $C/etc/hosts etc/hosts
localtime-is-an-absolute-link runs ln -sf $C/passwd etc/localtime
localtime-is-a-loop runs ln -sf localtime etc/localtime
proc-is-an-absolute-link any rm -r proc; ln -s $C proc
proc-is-a-file any rm -r proc; touch proc
proc-is-missing runs rm -r proc
dev-is-an-absolute-link any rm -r dev; ln -s $C dev
dev-is-a-file any rm -r dev; touch dev
dev-has-disks runs mknod dev/sda b 8 0; mknod dev/mem c 1 1; chmod 666 dev/sda dev/mem
sys-is-a-climbing-link any rm -r sys; ln -s ../../media/canary sys
tmp-is-an-absolute-link any rm -r tmp; ln -s $C/dir tmp
tmp-is-a-fifo any rm -r tmp; mkfifo tmp
var-is-a-climbing-link any rm -r var; ln -s ../../../media/canary var
var-tmp-is-an-absolute-link any rm -r var/tmp; ln -s $C/dir var/tmp
home-is-an-absolute-link any rm -r root srv; ln -s $C/dir root; ln -s $C/dir srv
home-is-a-file any rm -r root srv; touch root srv
sh-is-missing any rm bin/sh
sh-is-a-directory any rm bin/sh; mkdir bin/sh
sh-is-a-loop any ln -sf sh bin/sh
sh-is-a-fifo any rm bin/sh; mkfifo bin/sh; chmod 755 bin/sh
sh-is-an-absolute-link any ln -sf $C/passwd bin/sh
sh-has-no-interpreter any rm bin/sh; printf '#!/no/such/shell\n' >bin/sh; chmod 755 bin/sh
sh-is-its-own-interpreter any rm bin/sh; printf '#!/bin/sh\n' >bin/sh; chmod 755 bin/sh
sh-is-setuid runs rm bin/sh; cp bin/busybox bin/sh; chmod 6755 bin/sh
env-loops-for-ever any echo 'while :; do :; done' >.singularity.d/env/10-loop.sh
env-reads-its-input any echo 'read x; cat' >.singularity.d/env/10-read.sh
env-exits any echo 'exit 3' >.singularity.d/env/10-exit.sh
env-executes any echo 'exec /bin/echo replaced' >.singularity.d/env/10-exec.sh
env-is-wrong-shell any echo 'if (((; export "' >.singularity.d/env/10-wrong.sh
env-has-a-path-of-10000-entries any python3 -c 'print("export PATH=" + ":".join("/d%d" % i for i in range(10000)))' >.singularity.d/env/10-path.sh
env-is-an-absolute-link any rm -r .singularity.d/env; ln -s $C/env .singularity.d/env
env-script-is-an-absolute-link any ln -s $C/env/10-canary.sh .singularity.d/env/10-x.sh
env-script-is-a-fifo any mkfifo .singularity.d/env/10-fifo.sh
env-script-is-a-device any mknod .singularity.d/env/10-zero.sh c 1 5
env-recurses any echo '. /.singularity.d/env/10-self.sh' >.singularity.d/env/10-self.sh
env-is-a-file any rm -r .singularity.d/env; touch .singularity.d/env
metadata-is-an-absolute-link any rm -r .singularity.d; ln -s $C .singularity.d
runscript-is-an-absolute-link any ln -sf $C/passwd .singularity.d/runscript
runscript-is-a-fifo any rm .singularity.d/runscript; mkfifo .singularity.d/runscript; chmod 755 .singularity.d/runscript
libs-is-an-absolute-link any rm -r .singularity.d/libs; ln -s $C/dir .singularity.d/libs
mnt-is-a-long-chain-of-links any rm -r mnt; for i in $(seq 60); do ln -s /l$((i + 1)) l$i; done; ln -s $C l61; ln -s /l1 mnt
mnt-is-a-loop-of-links any rm -r mnt; ln -s /opt mnt; rm -r opt; ln -s /mnt opt
mnt-is-a-file any rm -r mnt; touch mnt
everything-is-unreadable any chmod 0 etc .singularity.d tmp var
it-is-empty any rm -r ./* .singularity.d
X
}

n=0 names=()
while read -r name expect how; do
    mkdir -p "$T/w/images/$name"
    cp -a "$BASE/." "$T/w/images/$name/"
    (cd "$T/w/images/$name" && eval "$how") || fail "cannot make $name"
    mksquashfs "$T/w/images/$name" "$T/w/images/$name.sqfs" -quiet -no-progress -noappend -comp gzip >/dev/null 2>"$T/err" || { fail "cannot make $name"; cat "$T/err"; }
    names+=("$name $expect")
    n=$((n + 1))
done < <(corpus)
chmod 755 "$T/w/images"
chmod 644 "$T/w/images"/*.sqfs
note "$n images, all but the first hostile"
[ $n -gt 60 ] || fail "the corpus has shrunk to $n images"
mkdir -m 755 "$T/w/bound"
echo bound >"$T/w/bound/file"
LIMIT=15

# try OPTIONS... IMAGE: the canary is neither seen nor touched, nothing hangs, a failure of ours says why.
try() {
    run me singularity exec --runscript-timeout 1s "$@" /bin/busybox sh -c 'for f in /etc/passwd /etc/group /etc/resolv.conf /etc/hosts; do [ ! -f $f ] || cat $f; done; ls /tmp /mnt /proc/1 /root; env; echo end' </dev/null
    case $RC in
    255) grep -q '^FATAL:   ' "$T/err" || { fail "$*: 255 without a word"; told; } ;;
    124 | 137 | 139 | 134) fail "$*: status $RC"; told ;;
    esac
    # The name of a link is no secret, what it leads to is.
    ! grep -E 'CANARY(:x:0:0|=read)' "$T/out" "$T/err" >/dev/null || { fail "$*: read the canary"; told; }
}

hostile() {
    local entry name expect image
    for entry in "${names[@]}"; do
        read -r name expect <<<"$entry"
        check "$name"
        for image in "$T/w/images/$name.sqfs" "$T/w/images/$name"; do
            try "$image"
            if [ "$expect" = runs ] && { [ "$RC" != 0 ] || ! grep -q '^end$' "$T/out"; }; then fail "$image does not run"; told; fi
            try --contain --pid -B "$T/w/bound:/mnt" -B "$T/w/bound/file:/etc/new/file" "$image"
            try --fakeroot --writable-tmpfs --scratch /opt/scratch --pwd /mnt "$image"
        done
        run me singularity run --runscript-timeout 1s "$T/w/images/$name.sqfs" /bin/true </dev/null
        [ "$RC" != 124 ] || fail "run hangs"
    done
    check "the canary tree is as it was"
    expect_equal "$(tree)" "$BEFORE" "the canary tree changed"
}
each_user hostile
umount /media
SETTLE=20
expect_nothing_left
finish
