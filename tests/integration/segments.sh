#!/bin/bash
# Layers that were converted once are kept: a second image on the same base reads none of their blobs, and is the same file.
. "$(dirname "$0")/../support/lib.sh"
need_root
own_prefix
C=$HOME/.singularity/cache

# Two images on a base of two layers; each hides, replaces and links some of the base's files.
mkdir images
python3 - images <<'P'
import gzip, hashlib, io, json, os, random, sys, tarfile
top = sys.argv[1]
def layer(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
        for name, what in entries:
            i = tarfile.TarInfo(name)
            i.mtime = 1000
            if what is None: i.type, i.mode = tarfile.DIRTYPE, 0o755
            elif isinstance(what, str) and what.startswith("->"): i.type, i.linkname = tarfile.SYMTYPE, what[2:]
            elif isinstance(what, str) and what.startswith("=>"): i.type, i.linkname = tarfile.LNKTYPE, what[2:]
            else:
                data = what if isinstance(what, bytes) else what.encode()
                i.size, i.mode = len(data), 0o755 if name.startswith("bin/") else 0o644
                i.pax_headers = {"SCHILY.xattr.user.note": name} if name.endswith("7") else {}
                t.addfile(i, io.BytesIO(data))
                continue
            t.addfile(i)
    return out.getvalue()
r = random.Random(1)
def data(n): return bytes(r.getrandbits(8) for _ in range(n))
text = lambda n: ("some words %d\n" % n) * (n % 900 + 1)
base = [("bin", None), ("bin/sh", data(90000)), ("etc", None), ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"), ("data", None)]
base += [("data/%d" % i, text(i)) for i in range(400)]
base += [("data/big", data(700000)), ("data/zeros", bytes(300000)), ("data/same", data(200000))]
second = [("data", None), ("data/3", text(1000)), ("data/.wh.4", b""), ("lib", "->data"), ("lib/in-link", text(5)), ("data/hard", "=>data/in-link")]
second += [("more", None)] + [("more/%d" % i, text(i + 7)) for i in range(300)] + [("more/big", data(400000)), ("more/twice", text(3))]
tops = {
    "one": [("data/.wh.5", b""), ("data/6", "new six\n"), ("app", text(77)), ("app2", "=>app")],
    "two": [("data/.wh.big", b""), ("more/.wh..wh..opq", b""), ("more", None), ("more/new", text(9)), ("kept", "=>data/hard"), ("app", data(50000)), ("etc/passwd", "mine\n")],
}
for name, last in tops.items():
    root = os.path.join(top, name)
    os.makedirs(root + "/blobs/sha256")
    def put(b):
        h = hashlib.sha256(b).hexdigest()
        open(root + "/blobs/sha256/" + h, "wb").write(b)
        return {"digest": "sha256:" + h, "size": len(b)}
    layers, diffs = [], []
    for entries in (base, second, last):
        r = random.Random(len(entries))
        tar = layer(entries)
        diffs.append("sha256:" + hashlib.sha256(tar).hexdigest())
        layers.append(dict(put(gzip.compress(tar, 1, mtime=0)), mediaType="application/vnd.oci.image.layer.v1.tar+gzip"))
    config = put(json.dumps({"architecture": "amd64", "os": "linux", "created": "2020-09-13T12:26:40Z", "config": {}, "rootfs": {"type": "layers", "diff_ids": diffs}}).encode())
    manifest = put(json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": dict(config, mediaType="application/vnd.oci.image.config.v1+json"), "layers": layers}).encode())
    json.dump({"schemaVersion": 2, "manifests": [dict(manifest, mediaType="application/vnd.oci.image.manifest.v1+json")]}, open(root + "/index.json", "w"))
    open(root + "/oci-layout", "w").write('{"imageLayoutVersion": "1.0.0"}')
    open(os.path.join(top, name + ".layers"), "w").write("\n".join(l["digest"][7:] for l in layers) + "\n")
P
BASE=$(head -n 2 images/one.layers)
expect_equal "$BASE" "$(head -n 2 images/two.layers)"
segments() { find "$C/segment" -type f ! -name '.*' | sort; }

check "without segments, with new ones and with old ones an image has the same bytes, whatever the number of threads"
for name in one two; do
    SINGULARITY_CACHE_SEGMENTS=no ok singularity build $name.sif "oci:images/$name"
done
expect_absent "$C/segment"
count=0
for n in 1 2 8; do
    rm -rf "$C"
    for name in one two one; do
        # The first image stays: segments refer to it.
        ok singularity build --processors $n $name.$n.$((count += 1)).sif "oci:images/$name"
        expect_same_file $name.sif $name.$n.$count.sif
    done
    expect_equal "$(segments | wc -l)" 2 # of the layers below; nobody shares the newest one
done

check "a second image on the same base reads no byte of the shared layers' blobs"
cp -r images/two without
for digest in $BASE; do rm "without/blobs/sha256/$digest"; done
ok singularity build -F again.sif oci:without
expect_rc 0
refuse_err 'damaged'
mkdir same && mv images/two whole && mv without images/two
ok singularity build -F again.sif oci:images/two
expect_same_file two.sif again.sif
expect_equal "$(grep -c '^Copying blob' "$T/err")" 1
for digest in $BASE; do expect_err "^Skipping fetch of repeat blob sha256:$digest"; done
check "a definition file with that base and no scripts neither"
printf 'Bootstrap: oci\nFrom: images/two\n%%labels\n    A b\n' >x.def
ok singularity build -F def.sif x.def
SINGULARITY_CACHE_SEGMENTS=no run singularity build -F none.sif oci:images/two
expect_rc 255
rm -rf images/two && mv whole images/two
SINGULARITY_CACHE_SEGMENTS=no ok singularity build -F def-without.sif x.def
expect_same_file def.sif def-without.sif

check "the shared layers are not fetched from a server"
manifest=$(find "$PREFIX" -path '*/oci/plugin.yaml')
sed -i 's/^      scheme: oci$/&\n      remote: yes/' "$manifest"
rm -rf "$C/oci" "$C/oci-tmp"
ok singularity pull -F far.sif oci:images/two
expect_equal "$(grep -c 'Copying blob' "$T/err")" 1
for digest in $BASE; do expect_err "^Skipping fetch of repeat blob sha256:$digest"; done
expect_same_file two.sif far.sif
sed -i '/^      remote: yes$/d' "$manifest"

check "they are listed, and go with the cache"
ok singularity cache list -T segment -v
expect_out 'segment$'
ok singularity cache list --json -T segment
python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); assert len(d["segments"])==2 and d["total"]==sum(s["size"] for s in d["segments"]) and not d["blobs"], d' "$T/out" || fail "--json"
ok singularity cache list
expect_out 'There are 2 converted layer\(s\) using'
ok singularity cache clean -f -T segment
expect_absent "$C/segment"
ok singularity build -F one.sif oci:images/one
SINGULARITY_DISABLE_CACHE=1 ok singularity build -F again.sif oci:images/one
ok singularity cache clean -f --max-size 1K
expect_equal "$(segments | wc -l)" 0

check "nothing is stored twice: what the first image shows stays in its file"
rm -rf "$C"
ok singularity build -F one.sif oci:images/one
total=0
for f in $(segments); do total=$((total + $(stat -c %s "$f"))); done
[ "$total" -lt $(($(stat -c %s one.sif) / 3)) ] || fail "segments of $total bytes for an image of $(stat -c %s one.sif)"

check "a first image that went away, was moved, changed or replaced costs a conversion, and nothing is said"
first_image() { # COMMAND that gets the image's path
    rm -rf "$C" first.sif moved
    mkdir moved
    ok singularity build -F first.sif oci:images/one
    "$@" first.sif
    ok singularity build -F two.1.sif oci:images/two
    refuse_err 'damaged'
    expect_equal "$(grep -c '^Skipping' "$T/err")" 0 "$*"
    expect_same_file two.sif two.1.sif
    # What was made then serves the next one.
    ok singularity build -F one.1.sif oci:images/one
    expect_equal "$(grep -c '^Skipping' "$T/err")" 2 "after $*"
    expect_same_file one.sif one.1.sif
}
# With the time that it had.
changed_in_place() { python3 -c 'import os,sys; s=os.stat(sys.argv[1]); f=open(sys.argv[1],"r+b"); f.seek(200000); b=f.read(1); f.seek(200000); f.write(bytes([b[0]^1])); f.close(); os.utime(sys.argv[1], ns=(s.st_atime_ns, s.st_mtime_ns))' "$1"; }
a_link() { mv "$1" moved/ && ln -s moved/first.sif "$1"; }
for how in rm 'mv -t moved' changed_in_place 'truncate -s -1' 'cp two.sif' a_link 'chown 4321'; do first_image $how; done
rm -rf first.sif moved

check "an image in the cache serves as well, also a site's"
rm -rf "$C"
run singularity exec oci:images/one true # there is none in it
ok singularity build -F two.1.sif oci:images/two
expect_equal "$(grep -c '^Skipping' "$T/err")" 2
expect_same_file two.sif two.1.sif
cp -a "$C" site
rm -rf "$C"
ok env SINGULARITY_CACHE_SHARED="$PWD/site" singularity build -F two.1.sif oci:images/two
expect_equal "$(grep -c '^Skipping' "$T/err")" 2
expect_same_file two.sif two.1.sif
rm -rf site/oci-tmp "$C"
ok env SINGULARITY_CACHE_SHARED="$PWD/site" singularity build -F two.1.sif oci:images/two
expect_equal "$(grep -c '^Skipping' "$T/err")" 0
refuse_err damaged
expect_same_file two.sif two.1.sif
rm -rf site

check "a layer whose hidden files were too large to keep is read again by an image that shows them"
python3 - images <<'P'
import gzip, hashlib, io, json, os, random, sys, tarfile
top = sys.argv[1]
def layer(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        for name, data in entries:
            i = tarfile.TarInfo(name)
            i.size, i.mtime, i.mode = len(data), 1000, 0o755
            t.addfile(i, io.BytesIO(data))
    return out.getvalue()
random.seed(3)
base = layer([("big/%d" % i, random.randbytes(1500000)) for i in range(8)])
tops = {"hides": [("big/.wh.%d" % i, b"") for i in range(6)] + [("a", b"1")],
        "hides-too": [("big/.wh.%d" % i, b"") for i in range(7)] + [("b", b"2")], "shows": [("c", b"3")]}
for name, last in tops.items():
    root = os.path.join(top, name)
    os.makedirs(root + "/blobs/sha256")
    def put(b):
        h = hashlib.sha256(b).hexdigest()
        open(root + "/blobs/sha256/" + h, "wb").write(b)
        return {"digest": "sha256:" + h, "size": len(b)}
    tars = [base, layer(last)]
    layers = [dict(put(gzip.compress(t, 1, mtime=0)), mediaType="application/vnd.oci.image.layer.v1.tar+gzip") for t in tars]
    config = put(json.dumps({"architecture": "amd64", "os": "linux", "created": "2020-09-13T12:26:40Z", "config": {}, "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(t).hexdigest() for t in tars]}}).encode())
    manifest = put(json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": dict(config, mediaType="application/vnd.oci.image.config.v1+json"), "layers": layers}).encode())
    json.dump({"schemaVersion": 2, "manifests": [dict(manifest, mediaType="application/vnd.oci.image.manifest.v1+json")]}, open(root + "/index.json", "w"))
    open(root + "/oci-layout", "w").write('{"imageLayoutVersion": "1.0.0"}')
P
for name in hides hides-too shows; do SINGULARITY_CACHE_SEGMENTS=no ok singularity build $name.sif oci:images/$name; done
rm -rf "$C"
ok singularity build -F hides.1.sif oci:images/hides
[ "$(du -sm "$C/segment" | cut -f1)" -le 5 ] || fail "all of it was kept"
ok singularity --verbose build -F hides-too.1.sif oci:images/hides-too
expect_err 'is taken as it was converted before'
refuse_err 'was not kept'
ok singularity --verbose build -F shows.1.sif oci:images/shows
expect_err 'is converted again: big/.* was not kept'
refuse_err 'damaged'
for name in hides hides-too shows; do expect_same_file $name.sif $name.1.sif; done
rm -rf "$C"

check "a damaged segment is found and made again, said once"
damage() {
    ok singularity build -F one.sif oci:images/one
    refuse_err damaged
    local f
    f=$(segments | head -n 1)
    "$@" "$f"
    ok singularity build -F two.1.sif oci:images/two
    expect_equal "$(grep -c 'the cached segment of layer .* is damaged, it is made again' "$T/err")" 1 "$*"
    expect_same_file two.sif two.1.sif
    ok singularity build -F two.2.sif oci:images/two
    refuse_err damaged
    expect_same_file two.sif two.2.sif
}
flip() { python3 -c 'import sys; f=open(sys.argv[1],"r+b"); f.seek(5000); b=f.read(1); f.seek(5000); f.write(bytes([b[0]^1]))' "$1"; }
cut_off() { truncate -s -1 "$1"; }
garbage() { head -c 100000 /dev/urandom >"$1"; }
planted_link() { echo precious >"$T/precious" && ln -sf "$T/precious" "$1"; }
planted_directory() { rm "$1" && mkdir "$1"; }
planted_fifo() { rm "$1" && mkfifo "$1"; }
# Stamped as if it were right: only its checksum tells.
stamped() {
    flip_end "$1"
    python3 -c 'import os,sys; p=sys.argv[1]; s=os.stat(p); d,n=os.path.split(p); open(f"{d}/.{n}.stamp","w").write("%d %d.%d %d\n" % (s.st_size, s.st_mtime_ns//10**9, s.st_mtime_ns%10**9, s.st_ino))' "$1"
}
flip_end() { python3 -c 'import os,sys; f=open(sys.argv[1],"r+b"); f.seek(-300,2); b=f.read(1); f.seek(-1,1); f.write(bytes([b[0]^1]))' "$1"; }
for how in flip cut_off garbage planted_link planted_directory planted_fifo stamped; do damage $how; done
expect_equal "$(cat "$T/precious")" precious

check "many at once on an empty cache: all right, and the cache is clean"
rm -rf "$C"
pids=()
for i in 1 2 3; do
    for name in one two; do
        singularity build -F "many.$name.$i.sif" "oci:images/$name" >/dev/null 2>&1 &
        pids+=($!)
    done
done
for p in "${pids[@]}"; do wait "$p" || fail "one of many failed"; done
for i in 1 2 3; do for name in one two; do expect_same_file $name.sif "many.$name.$i.sif"; done; done
expect_equal "$(find "$C/segment" -name '*partial*')" ""
ok singularity build -F two.1.sif oci:images/two
expect_same_file two.sif two.1.sif

check "a cache without room costs no image"
rm -rf "$C" && mkdir -p "$T/small/cache"
mount -t tmpfs -o size=700k sgtest-small "$T/small/cache"
SINGULARITY_CACHEDIR=$T/small ok singularity build -F two.1.sif oci:images/two
expect_same_file two.sif two.1.sif
umount "$T/small/cache"

check "garbage in the cache, planted links and files in the place of directories cost no image"
rm -rf "$C" && mkdir -p "$C" outside
for d in segment records leases tmp oci-tmp; do
    mkdir "$C/$d"
    head -c 3000 /dev/urandom >"$C/$d/garbage"
    head -c 90 /dev/urandom >"$C/$d/$(printf 'a%.0s' {1..64})"
done
ok singularity build -F two.1.sif oci:images/two
expect_same_file two.sif two.1.sif
expect_equal "$(segments | grep -c /segment/[0-9a-f]*/)" 2
ok singularity cache list -v
ok singularity cache clean -f --max-size 1K
for plant in 'ln -s $PWD/outside' 'cp /etc/hostname' 'mkfifo'; do
    rm -rf "$C/segment"
    eval "$plant \"$C/segment\""
    ok singularity build -F two.1.sif oci:images/two
    expect_same_file two.sif two.1.sif
    expect_equal "$(find outside -mindepth 1)" ""
done
rm -rf "$C" && echo no directory >"$C"
ok singularity build -F two.1.sif oci:images/two
expect_same_file two.sif two.1.sif
run singularity exec oci:images/two true
expect_err 'WARNING: nothing is cached'
rm "$C"

check "on a file system that shares blocks between files a second image takes little more than what is its own"
python3 - <<'P'
import hashlib, io, json, os, random, tarfile
r = random.Random(7)
def layer(name, size, hides=()):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        for n in range(400):
            i = tarfile.TarInfo("%s.%d" % (name, n))
            i.size = size // 400 + n * 200  # blocks and fragments begin anywhere in the image
            t.addfile(i, io.BytesIO(r.randbytes(i.size).hex()[:i.size].encode()))
        for n in hides: t.addfile(tarfile.TarInfo(".wh.base.%d" % n))
    return out.getvalue()
base, middle = layer("base", 40 << 20), layer("middle", 1 << 20, range(0, 400, 30))
for name in ("large-one", "large-two"):
    root = "images/" + name
    os.makedirs(root + "/blobs/sha256")
    def put(b):
        h = hashlib.sha256(b).hexdigest()
        open(root + "/blobs/sha256/" + h, "wb").write(b)
        return {"digest": "sha256:" + h, "size": len(b)}
    layers = [dict(put(l), mediaType="application/vnd.oci.image.layer.v1.tar") for l in (base, middle, layer(name, 1 << 20))]
    config = put(json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [l["digest"] for l in layers]}}).encode())
    manifest = put(json.dumps({"schemaVersion": 2, "config": dict(config, mediaType="application/vnd.oci.image.config.v1+json"), "layers": layers}).encode())
    json.dump({"schemaVersion": 2, "manifests": [dict(manifest, mediaType="application/vnd.oci.image.manifest.v1+json")]}, open(root + "/index.json", "w"))
    open(root + "/oci-layout", "w").write('{"imageLayoutVersion": "1.0.0"}')
P
truncate -s 400M disk
mkdir shares
if mkfs.xfs -q -m reflink=1 disk && mount -o loop disk shares 2>/dev/null; then
    used() { sync -f shares && df -k --output=used shares | tail -n 1; }
    export SINGULARITY_CACHEDIR=$PWD/shares/cache
    ok singularity build shares/one.sif oci:images/large-one
    before=$(used)
    ok singularity build shares/two.sif oci:images/large-two
    grown=$(($(used) - before))
    [ $grown -lt 22000 ] || fail "the second image takes $grown KiB"
    SINGULARITY_CACHE_SEGMENTS=no ok singularity build two.alone.sif oci:images/large-two
    expect_same_file two.alone.sif shares/two.sif
    unset SINGULARITY_CACHEDIR
    umount shares
else
    note "no XFS can be mounted here"
fi

check "an encrypted image leaves none"
if knows build --encrypt; then
    SINGULARITY_ENCRYPTION_PASSPHRASE=secret run singularity build -F --encrypt secret.sif oci:images/one
    expect_rc 0
    expect_equal "$(find "$C/segment" -type f 2>/dev/null)" ""
fi

check "somebody else's segments are not used, nor is anything written there"
mkdir -p "$USER_HOME"
chmod -R a+rX images .
as_user env HOME="$USER_HOME" singularity build -F "$T/tmp/theirs.sif" "oci:images/one" 2>/dev/null || fail "as a user"
expect_same_file one.sif "$T/tmp/theirs.sif"
before=$(find "$USER_HOME/.singularity/cache" | sort)
HOME=$USER_HOME run singularity --verbose build -F two.1.sif oci:images/two
expect_rc 0
refuse_err 'converted before'
expect_same_file two.sif two.1.sif
expect_equal "$(find "$USER_HOME/.singularity/cache" | sort)" "$before"

finish
