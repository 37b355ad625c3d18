# Definitions that mean harm to the hub that builds them: they read nothing of it and end at their limits.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/builder.sh"
need_builder

builder_image "$USER_HOME/builder.sif" || { fail "the builder image"; finish; }
configure "executor: local" "image: $USER_HOME/builder.sif" "time: 60" "memory: 600000000" "disk: 200000000" "processes: 200"
add_user alice
add_user boss --admin
ALICE=$(token_of alice)
hub_start || finish
PORT=${URL##*:}
build() { # FILE: its log, in LOG, and its state, in STATE
    submit "$ALICE" "$1"
    log_of "$ALICE"
    STATE=$(state "$ALICE")
}
lacks() { ! grep -Eq "$1" <<<"$LOG" || fail "the log has /$1/: $(head -c 3000 <<<"$LOG")"; }
has() { grep -Eq "$1" <<<"$LOG" || fail "the log lacks /$1/: $(head -c 3000 <<<"$LOG")"; }
alive() { expect_equal "$(hub status - GET /healthz)" 200 "the hub's health"; }
nothing_left() {
    local i left
    for ((i = 0; i < 50; i++)); do
        left=$(find "$D/builds" -mindepth 2 ! -name log | head -n 3)
        [ -n "$left" ] || break
        sleep 0.1
    done
    expect_equal "$left" "" "files of the build that are left"
    expect_equal "$(ps -e -o args= | grep -c '[h]ostile-marker')" 0 "processes of the build that are left"
}

echo "the host's secret" >"$USER_HOME/secret"
chmod 644 "$USER_HOME/secret"
chown $USER_ID:$USER_ID "$USER_HOME/secret"
echo "the host's secret" >/etc/sgtest-secret
chmod 644 /etc/sgtest-secret
trap 'rm -f /etc/sgtest-secret' EXIT

check "neither %pre nor %setup nor %post sees a file or a process of the host"
cat >look.def <<DEF
Bootstrap: scratch

%pre
    echo "pre $(id -u)"
    cat $D/hub.db $USER_HOME/secret /etc/sgtest-secret || true
    ls $USER_HOME $D || true

%setup
    cat $D/hub.db $USER_HOME/secret /etc/sgtest-secret /proc/1/root$USER_HOME/secret /proc/1/root/etc/sgtest-secret || true
    for p in /proc/[0-9]*; do tr '\\\\0' ' ' <\$p/cmdline || true; cat \$p/root/etc/sgtest-secret || true; tr '\\\\0' ' ' <\$p/environ || true; done
    cat /proc/self/mountinfo
    mkdir -p "\$SINGULARITY_ROOTFS/bin" "\$SINGULARITY_ROOTFS/lib64"
    cp -a /lib* "\$SINGULARITY_ROOTFS/"
    for p in sh cat ls mkdir; do cp /usr/bin/\$p "\$SINGULARITY_ROOTFS/bin/"; done
    echo "setup went on"

%post
    cat $D/hub.db $USER_HOME/secret /etc/sgtest-secret /proc/1/root/etc/sgtest-secret || true
    ls / $USER_HOME || true
    echo "post went on"
DEF
build look.def
has 'setup went on'
has 'post went on'
lacks "the host's secret"
lacks 'SQLite format'
lacks 'hub serve|hub\.db-wal'
lacks "$ALICE"
nothing_left

check "%files /etc/shadow is the builder image's"
cat >shadow.def <<'DEF'
Bootstrap: scratch

%files
    /etc/shadow /shadow
DEF
build shadow.def
expect_equal "$STATE" succeeded
api "$ALICE" "/api/builds/$BUILD/image" -o shadow.sif
ok singularity build --sandbox shadow shadow.sif
expect_equal "$(cat shadow/shadow)" "secret of the image"

check "no listener of the host can be reached, by no address and no socket"
cat >connect.def <<DEF
Bootstrap: scratch

%setup
    python3 - <<'PY'
    import glob, os, socket
    for host in "127.0.0.1", "$(hostname -I 2>/dev/null | cut -d' ' -f1)", "10.0.2.2", "::1":
        try:
            socket.create_connection((host, $PORT), timeout=3)
            print("reached", host)
        except OSError as e:
            print("refused", e)
    print("interfaces", [n for _, n in socket.if_nameindex()])
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).sendto(b"x" * 8, ("192.0.2.1", 0))
        print("reached by a raw socket")
    except OSError as e:
        print("refused", e)
    PY
DEF
sed -i 's/^    \(import\|for\|    \|print\|try\|except\|PY\)/\1/' connect.def
build connect.def
has "interfaces \['lo'\]"
lacks '^reached'
expect_equal "$STATE" succeeded

check "with the internet, a build reaches other machines, and still no loopback address of this one"
ADDRESS=$(hostname -I 2>/dev/null | tr ' ' '\n' | grep -m 1 '^[0-9.]*$')
if ! command -v slirp4netns >/dev/null || [ -z "$ADDRESS" ] || ! mknod -m 666 "$T/dev/tun" c 10 200 2>/dev/null || ! mount --bind "$T/dev/tun" /dev/net/tun; then
    note "no slirp4netns, no address or no /dev/net/tun here: not tried"
else
    hub_stop
    configure "executor: local" "image: $USER_HOME/builder.sif" "network: internet" "time: 60"
    hub_start || finish
    python3 -u -c 'import socket, sys
s = socket.socket(); s.bind((sys.argv[1], 0)); s.listen(); print(s.getsockname()[1])
while True: s.accept()[0].sendall(b"another machine")' "$ADDRESS" >"$T/other" &
    OTHER=$!
    for ((i = 0; i < 100; i++)); do [ -s "$T/other" ] && break; sleep 0.05; done
    cat >inet.def <<DEF
Bootstrap: scratch

%setup
    python3 - <<'PY'
import socket
print("heard", socket.create_connection(("$ADDRESS", $(cat "$T/other")), timeout=10).recv(100))
for host in "127.0.0.1", "10.0.2.2":
    try:
        socket.create_connection((host, ${URL##*:}), timeout=3)
        print("reached", host)
    except OSError as e:
        print("refused", e)
PY
DEF
    build inet.def
    expect_equal "$STATE" succeeded
    has "^heard b'another machine'"
    lacks '^reached'
    expect_equal "$(ps -e -o args= | grep -c '^slirp4netns')" 0 "slirp4netns that is left"
    kill $OTHER
    hub_stop
    configure "executor: local" "image: $USER_HOME/builder.sif" "time: 60" "memory: 600000000" "disk: 200000000" "processes: 200"
    hub_start || finish
fi

check "what a build leaves in place of its image is not followed"
for what in 'ln -s /srv/sgtester/hub/hub.db /build/image.sif' 'mkfifo /build/image.sif' 'mkdir /build/image.sif' 'ln -s /context /build/image.sif'; do
    printf 'Bootstrap: scratch\n\n%%setup\n    for p in /proc/[0-9]*; do :; done\n    (while :; do rm -rf /build/image.sif; %s; done) >/dev/null 2>&1 &\n    sleep 0.3\n' "$what" >instead.def
    build instead.def
    lacks 'SQLite format'
    [ "$STATE" != succeeded ] || expect_equal "$(api "$ALICE" "/api/builds/$BUILD/image" | head -c 64 | grep -ac SIF_MAGIC)" 1 "$what: what was stored"
done
alive
nothing_left

check "a fork bomb ends at its limit, and takes nothing with it"
cat >bomb.def <<'DEF'
Bootstrap: scratch

%setup
    echo it begins
    bomb() { bomb hostile-marker | bomb hostile-marker & }
    bomb
    bash -c ': hostile-marker; f() { f | f & }; f; sleep 1000'
DEF
build bomb.def
expect_equal "$STATE" failed
has 'it begins'
alive
nothing_left

check "memory, disk and time end a build that wants more of them"
cat >memory.def <<'DEF'
Bootstrap: scratch

%setup
    python3 -c 'import time; x = bytearray(900000000); x[::4096] = b"x" * len(x[::4096]); print("it has it", flush=True); time.sleep(1000)'
DEF
build memory.def
expect_equal "$STATE" failed
has 'it had more than 572 MiB of memory'
cat >many.def <<'DEF'
Bootstrap: scratch

%setup
    for i in 1 2 3 4 5 6; do python3 -c 'import time; x = bytearray(150000000); x[::4096] = b"x" * len(x[::4096]); time.sleep(1000)' & done
    wait
DEF
build many.def
has 'it had more than 572 MiB of memory'
cat >disk.def <<'DEF'
Bootstrap: scratch

%setup
    for i in 1 2 3 4 5 6 7 8 9; do dd if=/dev/zero of=/opt/fill$i bs=1M count=50; sleep 0.3; done
    sleep 1000
DEF
build disk.def
expect_equal "$STATE" failed
has 'it had more than 190 MiB on the disk'
cat >single.def <<'DEF'
Bootstrap: scratch

%setup
    dd if=/dev/zero of=/build/tmp/fill bs=1M count=100000
DEF
build single.def
expect_equal "$STATE" failed
lacks 'copied, 10[0-9]*'
nothing_left
hub_stop
configure "executor: local" "image: $USER_HOME/builder.sif" "time: 3" "memory: 600000000" "disk: 200000000" "processes: 200"
hub_start || finish
cat >time.def <<'DEF'
Bootstrap: scratch

%setup
    trap '' TERM INT HUP
    bash -c 'trap "" TERM; : hostile-marker; sleep 1000' &
    sleep 1000
DEF
build time.def
expect_equal "$STATE" failed
has 'it took longer than 3 seconds'
nothing_left

check "a log without end is cut, and the hub keeps none of it in memory"
cat >talk.def <<'DEF'
Bootstrap: scratch

%setup
    python3 -c 'for i in range(100000): print("x" * 1000)'
    for i in 1 2 3; do echo "the last words"; done
DEF
hub_stop
configure "executor: local" "image: $USER_HOME/builder.sif" "time: 60" "memory: 600000000" "disk: 200000000" "processes: 200"
hub_start || finish
submit "$ALICE" talk.def
hub watch "$ALICE" "$BUILD" >talk.log 2>&1
expect_equal "$(tail -n 1 talk.log)" "closed 1000"
expect_equal "$(state "$ALICE")" succeeded
SIZE=$(stat -c %s "$D/builds/$BUILD/log")
[ "$SIZE" -gt 67000000 ] && [ "$SIZE" -lt 68000000 ] || fail "the log has $SIZE bytes"
grep -q 'the log is longer than 67108864 bytes' talk.log || fail "nothing says that the log is cut"
alive

check "a context that climbs or links out of its place changes nothing of the host"
python3 - <<'PY'
import io, tarfile
with tarfile.open("evil.tgz", "w:gz") as t:
    def file(name, text, **more):
        i = tarfile.TarInfo(name)
        i.size = len(text)
        for k, v in more.items():
            setattr(i, k, v)
        t.addfile(i, io.BytesIO(text) if text else None)
    file("../../../../../../etc/sgtest-evil", b"evil")
    file("/etc/sgtest-evil", b"evil")
    file("link", b"", type=tarfile.SYMTYPE, linkname="/etc")
    file("link/sgtest-evil", b"evil")
    file("build/image.sif", b"", type=tarfile.SYMTYPE, linkname="/srv/sgtester/hub/hub.db")
PY
DIGEST=sha256.$(sha256sum <evil.tgz | cut -d' ' -f1)
where=$(api "$ALICE" /v1/build-context -d "{\"digest\":\"$DIGEST\",\"size\":$(stat -c %s evil.tgz)}" -D - -o /dev/null | tr -d '\r' | sed -n 's/^Location: //Ip')
curl -sS -T evil.tgz "$where"
submit "$ALICE" shadow.def "" "{\"contextDigest\": \"$DIGEST\"}"
log_of "$ALICE"
expect_absent /etc/sgtest-evil
lacks 'SQLite format'
alive
hub_stop
run as_hub singularity hub check --data "$D"
expect_rc 0
finish
