# Killed at any moment: nothing half-done is visible, and nothing of ours is left.
. "$(dirname "$0")/../support/lib.sh"
need_root

# An image that takes a moment to convert.
python3 - big.oci "$(command -v busybox)" <<'P'
import gzip, hashlib, io, json, os, random, sys, tarfile
out, busybox = sys.argv[1:]
os.makedirs(out + "/blobs/sha256")
r = random.Random(1)
b = io.BytesIO()
with tarfile.open(fileobj=b, mode="w") as t:
    for i in range(60):
        n = tarfile.TarInfo("f%02d" % i)
        n.size = 1 << 20
        t.addfile(n, io.BytesIO(bytes(r.choices(range(32), k=1 << 12)) * 256))
def put(data):
    h = hashlib.sha256(data).hexdigest()
    open(out + "/blobs/sha256/" + h, "wb").write(data)
    return {"digest": "sha256:" + h, "size": len(data)}
layer = b.getvalue()
config = put(json.dumps({"architecture": "amd64" if os.uname().machine == "x86_64" else "arm64", "os": "linux", "config": {},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}).encode())
manifest = put(json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "config": dict(config, mediaType="application/vnd.oci.image.config.v1+json"),
    "layers": [dict(put(gzip.compress(layer, 1)), mediaType="application/vnd.oci.image.layer.v1.tar+gzip")]}).encode())
json.dump({"schemaVersion": 2, "manifests": [dict(manifest, mediaType="application/vnd.oci.image.manifest.v1+json")]}, open(out + "/index.json", "w"))
open(out + "/oci-layout", "w").write('{"imageLayoutVersion":"1.0.0"}')
P
ok singularity build tiny.sif "oci:$IMAGES/tiny.oci"
chmod 755 tiny.sif
baseline

shot() { # SIGNAL MILLISECONDS COMMAND...: starts it, sends the signal after so long, waits
    local signal=$1 after=$2
    shift 2
    start "$T/shot.out" "$@"
    sleep "$(printf '%d.%03d' $((after / 1000)) $((after % 1000)))"
    kill -"$signal" $PID 2>/dev/null
    ended
}

for signal in INT TERM KILL; do
    for ms in 1 5 10 20 40 80 160 300; do
        check "a build that gets SIG$signal after $ms ms leaves a whole image or none"
        rm -f x.sif
        shot $signal $ms singularity build x.sif oci:big.oci
        if [ -e x.sif ]; then
            singularity sif list x.sif >/dev/null 2>&1 || fail "a broken x.sif is visible"
        fi
        [ $RC != 0 ] || [ -e x.sif ] || fail "status 0 and no image"
        if [ $signal != KILL ]; then
            expect_equal "$(find . -name '*.sif' ! -name x.sif ! -name tiny.sif -o -name '.*' -type f)" "" "temporaries"
        fi
        rm -f x.sif
    done
done
check "what SIGKILL leaves, the next run removes"
ok singularity build x.sif oci:big.oci
rm -f x.sif
left=$(find . -mindepth 1 -maxdepth 1 ! -name big.oci ! -name tiny.sif)
[ -z "$left" ] || fail "still there: $left"
find "$T/tmp" -mindepth 1 -print -exec rm -rf {} + | sed 's/^/    note: in TMPDIR: /'

for signal in INT TERM KILL; do
    for ms in 5 30 100 250; do
        check "a sandbox build that gets SIG$signal after $ms ms leaves a whole directory or none"
        shot $signal $ms singularity build --sandbox d oci:big.oci
        [ ! -e d ] || [ -e d/.singularity.d/runscript ] || fail "half a sandbox is visible"
        rm -rf d
    done
done
ok singularity build --sandbox d oci:big.oci
rm -rf d
left=$(find . -mindepth 1 -maxdepth 1 ! -name big.oci ! -name tiny.sif)
[ -z "$left" ] || fail "still there: $left"
rm -rf "${T:?}"/tmp/* "${T:?}"/tmp/.[!.]*

check "a conversion into the cache that is killed leaves no broken entry"
for ms in 10 50 150 300; do
    SINGULARITY_CACHEDIR=$T/cache shot KILL $ms singularity exec oci:big.oci true
done
SINGULARITY_CACHEDIR=$T/cache run singularity exec oci:big.oci true
expect_err 'big.oci|true|executable' # it has no program: but it was converted
find "$T/cache" -name '*.sif' | while read -r f; do singularity sif list "$f" >/dev/null || fail "a broken SIF in the cache"; done
rm -rf "${T:?}"/cache "${T:?}"/tmp/* "${T:?}"/tmp/.[!.]*
baseline

kills() {
    local signal target
    for target in ours payload server; do
        [ $target != server ] || [ "$WHO" = user ] || continue
        check "after SIGKILL of $target everything of the container is gone"
        start "$T/up" me singularity exec "$T/w/tiny.sif" /bin/sh -c 'echo up; while :; do sleep 0.2; done'
        until_says "$T/up" up
        case $target in
        ours) kill -KILL $PID ;;
        payload) pkill -KILL -f 'while :; do sleep 0.2' ;;
        server)
            # Whoever of ours is left beside the container's own processes.
            processes >"$T/all"
            local p
            for p in /proc/[0-9]*; do
                case $(readlink "$p/exe" 2>/dev/null) in "$PREFIX"/*) kill -KILL "${p#/proc/}" 2>/dev/null ;; esac
            done
            pkill -KILL -f 'while :; do sleep 0.2'
            ;;
        esac
        ended
        expect_nothing_left
    done
    check "SIGINT and SIGTERM to a running container leave nothing"
    for signal in INT TERM HUP; do
        start "$T/up" me singularity exec "$T/w/tiny.sif" /bin/sh -c "trap 'exit 3' $signal; echo up; while :; do sleep 0.1; done"
        until_says "$T/up" up
        kill -$signal $PID
        ended
        [ $signal = INT ] || expect_rc 3 # a background job of a script ignores SIGINT from the start
        pkill -KILL -f 'while :; do sleep 0.1' 2>/dev/null
        expect_nothing_left
    done
}
WHO=root kills
if user_namespaces && [ $FUSE_FOR_USERS = yes ]; then WHO=user kills; fi
WHO=root
finish
