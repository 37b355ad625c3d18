#!/bin/bash
# The cache: what is fetched once is found again, whatever others do to the directory meanwhile.
. "$(dirname "$0")/../support/lib.sh"
need_root
own_prefix

# The source "oci" in the part of a server: its layers are fetched and kept like those of a registry.
manifest=$(find "$PREFIX" -path '*/oci/plugin.yaml')
sed -i 's/^      scheme: oci$/&\n      remote: yes/' "$manifest"
grep -q 'remote: yes' "$manifest" || fail "the test could not change $manifest"
cp -r "$IMAGES/tiny.oci" "$T/server"
SERVER=oci:$T/server
C=$HOME/.singularity/cache

# Its blobs other than the config and manifests, by number of bytes.
layers() { python3 - "$T/server" <<'P'
import json, sys
top = sys.argv[1]
blob = lambda d: json.load(open(top + "/blobs/sha256/" + d[7:]))
m = json.load(open(top + "/index.json"))["manifests"][0]["digest"]
for l in blob(m)["layers"]: print(l["digest"][7:])
P
}
LAYER=$(layers | tail -n 1)

check "a cold start fetches, converts and keeps; the second one says nothing and starts at once"
run singularity exec "$SERVER" /bin/sh -c 'echo ran'
expect_rc 0
expect_out '^ran$'
expect_err 'Copying blob sha256:'
expect_err 'INFO:    Image cached as SIF at .*/oci-tmp/[0-9a-f]{64}/'
run singularity exec "$SERVER" /bin/sh -c 'echo ran'
expect_out '^ran$'
refuse_err 'blob|INFO'

check "the layout in the cache is one, and is listed as Singularity lists it"
expect_equal "$(cat "$C/oci/oci-layout")" '{"imageLayoutVersion": "1.0.0"}'
NAME=$(python3 -c 'import json,sys; m=json.load(open(sys.argv[1]))["manifests"]; assert len(m)==1; assert m[0]["platform"]["os"]=="linux"; print(m[0]["annotations"]["org.opencontainers.image.ref.name"])' "$C/oci/index.json")
expect_exists "$C/oci-tmp/$NAME"
find "$C" -perm /077 ! -name '*.sif' ! -type l | grep . && fail "the cache is not private"
if command -v skopeo >/dev/null; then ok skopeo inspect "oci:$C/oci:$NAME"; fi
if command -v umoci >/dev/null; then ok umoci ls --layout "$C/oci"; expect_out "$NAME"; fi

check "a pull finds the layers and says so"
run singularity pull a.sif "$SERVER"
expect_rc 0
expect_err "Skipping fetch of repeat blob sha256:$LAYER"
refuse_err 'Copying blob'
check "with and without a cache, cold and warm, the same file"
ok singularity pull --disable-cache b.sif "$SERVER"
refuse_err 'Skipping'
expect_same_file a.sif b.sif
mv "$C" "$T/full"
ok singularity pull --jobs 1 c.sif "$SERVER"
expect_same_file a.sif c.sif
ok singularity exec c.sif /bin/sh -c true

check "--json tells programs what happens"
rm -rf "$C"
ok singularity pull --json g.sif "$SERVER"
python3 - "$T/out" "$LAYER" <<'P' || fail "the events are wrong"
import json, sys
events = [json.loads(l) for l in open(sys.argv[1])]
assert events[-1] == {"event": "done", "path": "g.sif"}, events
begun = [e for e in events if e["event"] == "begin" and sys.argv[2] in e["label"]]
assert len(begun) == 1 and begun[0]["total"] > 0, events
ended = [e for e in events if e["event"] == "end" and e["task"] == begun[0]["task"]]
assert ended[0]["ok"] and ended[0]["done"] == begun[0]["total"], events
P

check "a blob with one flipped byte is replaced, said once"
for at in 0 100 -1; do
    rm -rf "$C/oci-tmp"
    python3 - "$C/oci/blobs/sha256/$LAYER" $at <<'P'
import sys
path, at = sys.argv[1], int(sys.argv[2])
b = bytearray(open(path, "rb").read())
b[at] ^= 1
open(path, "wb").write(b)
P
    run singularity exec "$SERVER" /bin/sh -c 'echo ran'
    expect_rc 0
    expect_out '^ran$'
    expect_equal "$(grep -c "cached blob sha256:$LAYER is damaged" "$T/err")" 1
    expect_equal "$(sha256sum <"$C/oci/blobs/sha256/$LAYER")" "$LAYER  -"
done
run singularity pull -F d.sif "$SERVER"
refuse_err damaged
expect_same_file a.sif d.sif

check "what was planted in the cache neither breaks nor escapes"
echo precious >"$T/precious"
for plant in 'ln -s $T/precious' 'mkdir -p' 'mkfifo' 'touch'; do
    for at in "oci/blobs/sha256/$LAYER" oci/index.json oci/oci-layout "records/image-$NAME"; do
        rm -rf "$C/oci-tmp" "${C:?}/$at"
        eval "$plant \"$C/$at\""
        run singularity exec "$SERVER" /bin/sh -c 'echo ran'
        expect_rc 0
        expect_out '^ran$'
        expect_equal "$(cat "$T/precious")" precious "$plant $at"
        python3 -c 'import json,sys; assert len(json.load(open(sys.argv[1]))["manifests"]) == 1' "$C/oci/index.json" || fail "no index.json after: $plant $at"
    done
done
for at in oci oci-tmp tmp records leases; do
    mv "$C/$at" "$T/aside"
    mkdir -p "$T/outside"
    ln -s "$T/outside" "$C/$at"
    rm -rf "$C/oci-tmp/$NAME"
    run singularity exec "$SERVER" /bin/sh -c 'echo ran'
    expect_out '^ran$'
    expect_equal "$(find "$T/outside" -mindepth 1)" "" "$at was followed"
    rm "$C/$at"
    mv "$T/aside" "$C/$at"
done

check "a file in the place of an entry, as newer versions keep it, stays"
rm -rf "$C/oci-tmp"
mkdir "$C/oci-tmp"
echo theirs >"$C/oci-tmp/$NAME"
mkdir -p "$C/blob/blobs/sha256"
for i in 1 2; do
    run singularity exec "$SERVER" /bin/sh -c 'echo ran'
    expect_rc 0
done
refuse_err INFO
expect_equal "$(cat "$C/oci-tmp/$NAME")" theirs
rm -rf "$C/oci-tmp" "$C/blob"

check "a cache that cannot be written to is done without"
readonly_cache() {
    chmod 500 "$USER_HOME"
    run as_user singularity exec "$SERVER" /bin/sh -c 'echo ran'
    chmod 700 "$USER_HOME"
    expect_rc 0
    expect_out '^ran$'
    expect_err 'WARNING: nothing is cached'
}
chmod -R a+rX "$T/server"
if user_namespaces && [ $FUSE_FOR_USERS = yes ]; then readonly_cache; else note "no FUSE for users: not tried"; fi

check "without room in the cache an image is made for the run alone, and a pull keeps no layers"
mkdir "$T/small"
mount -t tmpfs -o size=200k sgtest-small "$T/small"
in_small() { find "$T/small" -type f ! -path '*/records/*' ! -path '*/index/*'; }
SINGULARITY_CACHEDIR=$T/small run singularity exec "$SERVER" /bin/sh -c 'echo ran'
expect_rc 0
expect_out '^ran$'
expect_err "^WARNING: the file system of the cache $T/small/cache is full: the image is made in $T/tmp for this run alone. Make room: singularity cache clean"
expect_equal "$(in_small)" ""
expect_equal "$(ls "$T/tmp")" ""
SINGULARITY_CACHEDIR=$T/small run singularity pull -F p.sif "$SERVER"
expect_rc 0
expect_err "^WARNING: the file system of the cache $T/small/cache is full: the layers are not kept there. Make room"
expect_same_file p.sif d.sif
check "without room anywhere it fails with what is full and what helps, and leaves nothing"
SINGULARITY_CACHEDIR=$T/small TMPDIR=$T/small run singularity exec "$SERVER" true
expect_failure
expect_err "^FATAL: +the file system of the cache $T/small/cache is full"
expect_err '^ +Make room: singularity cache clean'
expect_equal "$(in_small)" ""
umount "$T/small"

check "in somebody else's home only verified blobs are used and nothing is written"
rm -rf "$USER_HOME/.singularity"
mkdir -p "$USER_HOME/.singularity"
cp -r "$C" "$USER_HOME/.singularity/cache"
chown -R $USER_ID "$USER_HOME"
before=$(find "$USER_HOME" | sort)
HOME=$USER_HOME run singularity exec "$SERVER" /bin/sh -c 'echo ran'
expect_rc 0
expect_out '^ran$'
expect_err 'Skipping fetch of repeat blob'
expect_equal "$(find "$USER_HOME" | sort)" "$before" "the home changed"

check "a site's cache is used and not written to"
rm -rf "$C" "$USER_HOME/.singularity"
run singularity exec "$SERVER" true
mv "$C" "$T/site"
chmod -R a+rX "$T/site"
before=$(find "$T/site" | sort)
run env "SINGULARITY_CACHE_SHARED=$T/site" singularity exec "$SERVER" /bin/sh -c 'echo ran'
expect_rc 0
expect_out '^ran$'
refuse_err 'INFO|blob'
run env "SINGULARITY_CACHE_SHARED=$T/site" singularity pull -F e.sif "$SERVER"
expect_rc 0
expect_err 'Skipping fetch of repeat blob'
expect_same_file a.sif e.sif
rm -rf "$C"
run env "SINGULARITY_CACHE_SHARED=$T/site" singularity exec --offline "$SERVER" /bin/sh -c 'echo ran'
expect_rc 0
expect_out '^ran$'
expect_absent "$C/oci-tmp"
expect_equal "$(find "$T/site" | sort)" "$before" "the site's cache changed"

run env "SINGULARITY_CACHE_SHARED=$T/nowhere" singularity --verbose exec "$SERVER" /bin/sh -c 'echo ran'
expect_rc 0
expect_err 'shared cache .*/nowhere .* is not used: No such file'

check "offline the newest cached image is used, and a server that is not asked may be gone"
rm -rf "$C"
run singularity exec "$SERVER" true
run singularity exec --offline "$SERVER" /bin/sh -c 'echo ran'
expect_rc 0
mv "$T/server" "$T/away"
run singularity exec --offline "$SERVER" /bin/sh -c 'echo ran'
expect_rc 0
expect_out '^ran$'
run env SINGULARITY_OFFLINE=1 singularity pull -F f.sif "$SERVER"
expect_rc 0
expect_same_file a.sif f.sif
mv "$T/away" "$T/server"
run singularity exec --offline "oci:$T/nowhere" true
expect_failure
expect_err 'no image of oci:.* is in the cache'

check "options that change the image have entries of their own"
rm -rf "$C"
run singularity exec "$SERVER" true
run env SINGULARITY_BUILD_COMPRESS=gzip singularity exec "$SERVER" /bin/sh -c 'echo ran'
expect_rc 0
expect_err 'Image cached'
run env SOURCE_DATE_EPOCH=1000000000 singularity exec "$SERVER" /bin/sh -c 'echo ran'
expect_err 'Image cached'
expect_equal "$(find "$C/oci-tmp" -name '*.sif' | wc -l)" 3
run singularity exec "$SERVER" true
refuse_err INFO
expect_exists "$C/oci-tmp/$NAME"

check "layers need not be kept"
rm -rf "$C"
run env SINGULARITY_CACHE_KEEP_BLOBS=no singularity exec "$SERVER" /bin/sh -c 'echo ran'
expect_out '^ran$'
expect_equal "$(find "$C/oci" -type f 2>/dev/null)" ""

check "a wrong word for the switch is an error"
SINGULARITY_DISABLE_CACHE=perhaps run singularity exec "$SERVER" true
expect_failure 1
for word in 1 t true; do
    rm -rf "$C"
    SINGULARITY_DISABLE_CACHE=$word run singularity exec "$SERVER" /bin/sh -c 'echo ran'
    expect_out '^ran$'
    expect_absent "$C/oci"
done
expect_equal "$(find "$T/tmp" -mindepth 1)" "" "TMPDIR"

# ---- Images that come as one file --------------------------------------------------------------

mkdir -p "$PREFIX/etc/singularity/plugins.d"
echo "plugins: [{manifest: $(find "$SG_STAGE/plugins-gcc" -path '*/blob-source/plugin.yaml' | head -n 1), enabled: true}]" \
    >"$PREFIX/etc/singularity/plugins.d/50-fixtures.yaml"
rm -rf "$C"
check "an image file runs as it is, and is kept as it is"
run singularity exec "blob://$T/w/a.sif" /bin/sh -c 'echo ran'
expect_rc 0
expect_out '^ran$'
expect_err 'Image cached'
refuse_err 'Converting|Creating'
kept=$(find "$C/blob-files" -name a.sif)
expect_same_file "$kept" a.sif
run singularity exec "blob://$T/w/a.sif" /bin/sh -c 'echo ran'
expect_out '^ran$'
refuse_err INFO
run singularity exec --disable-cache "blob://$T/w/a.sif" /bin/sh -c 'echo ran'
expect_out '^ran$'
check "build and pull take it from the cache"
ok singularity pull from-cache.sif "blob://$T/w/a.sif"
expect_err 'Copied from the cache'
refuse_err Downloading
expect_same_file from-cache.sif a.sif
ok singularity build --sandbox built-from-cache "blob://$T/w/a.sif"
expect_err 'Using cached image'
ok singularity pull --disable-cache fetched.sif "blob://$T/w/a.sif"
expect_err Downloading
expect_same_file fetched.sif a.sif
ok singularity build --disable-cache fetched "blob://$T/w/a.sif"
refuse_err 'Using cached image'
# What is in the cache of it is damaged: it is fetched.
printf x >>"$kept"
ok singularity pull --force from-cache.sif "blob://$T/w/a.sif"
expect_err Downloading
expect_same_file from-cache.sif a.sif
check "pull writes any file as it is, under its own name"
echo 'no image' >"$T/some.tar"
mkdir pulled && cd pulled || exit 1
(umask 027 && singularity pull "blob://$T/some.tar") 2>"$T/err" || fail "pull of a file"
expect_same_file some.tar "$T/some.tar"
expect_equal "$(stat -c %a some.tar)" 750
run singularity pull "blob://$T/some.tar"
expect_failure
expect_err 'already exists: "some.tar" - will not overwrite'
ok singularity pull --force --name other.tar "blob://$T/some.tar"
cd ..
check "run refuses what is no image, and keeps nothing of it"
run singularity run "blob://$T/some.tar"
expect_failure
expect_err 'is no image that can be run'
expect_equal "$(find "$C" -name some.tar)" ""
run singularity pull gone.sif "blob://$T/gone"
expect_failure
expect_absent gone.sif
check "a file for which there is no room is not begun"
mkdir "$T/little"
mount -t tmpfs -o size=100k sgtest-little "$T/little"
run singularity pull --disable-cache "$T/little/a.sif" "blob://$T/w/a.sif"
expect_failure
expect_err 'not enough space'
run singularity exec "blob://$T/w/a.sif" /bin/sh -c true
run singularity pull "$T/little/a.sif" "blob://$T/w/a.sif"
expect_failure
expect_err '[Nn]o space left'
expect_equal "$(find "$T/little" -type f)" ""
umount "$T/little"
rm -f "$PREFIX/etc/singularity/plugins.d/50-fixtures.yaml"

check "an empty cache is listed as one"
rm -rf "$C"
ok singularity cache list
expect_equal "$OUT" "There are 0 container file(s) using 0.00 KiB and 0 oci blob file(s) using 0.00 KiB of space
Total space used: 0.00 KiB"
check "what was stored is listed, whole or damaged"
ok singularity exec "$SERVER" true
count=$(find "$C/oci/blobs" -type f | wc -l)
ok singularity cache list
expect_out "There are 1 container file\\(s\\) using [0-9.]+ [KM]iB and $count oci blob file\\(s\\) using [0-9.]+ [KM]iB of space"
expect_out '^Total space used: [0-9.]+ [KM]iB$'
ok singularity cache list -v
expect_out '^NAME +DATE CREATED +SIZE +TYPE$'
expect_out 'server_.*sif.* oci-tmp$'
expect_equal "$(grep -c ' blob$' "$T/out")" "$count"
ok singularity cache list -v -T oci
expect_equal "$(grep -c ' blob$' "$T/out")" 0
ok singularity cache list --json --verify
python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); assert len(d["images"])==1 and len(d["blobs"])==int(sys.argv[2]) and not any(f["damaged"] for f in d["images"]+d["blobs"])' "$T/out" "$count" || fail "--json"
printf x | dd of="$C/oci/blobs/sha256/$LAYER" bs=1 seek=9 conv=notrunc 2>/dev/null
run singularity cache list --verify
expect_rc 255
expect_err "damaged: .*$LAYER"
run singularity cache list -T nonsense
expect_rc 1
expect_err "no type 'nonsense'"

check "clean asks, and does nothing without a yes"
run bash -c 'echo n | singularity cache clean'
expect_rc 0
expect_out 'This will delete everything in your cache \(containers from all sources and OCI blobs\)\.'
expect_out 'Hint: You can see exactly what would be deleted by canceling and using the --dry-run option\.'
expect_out 'Do you want to continue\? \[N/y\] '
expect_exists "$C/oci/blobs/sha256/$LAYER"
ok singularity cache clean --dry-run
expect_out "^Removing $C/oci-tmp$"
expect_out "^Removing $C/oci$"
expect_exists "$C/oci/blobs/sha256/$LAYER"
ok singularity cache clean -f -D 3
expect_exists "$C/oci/blobs/sha256/$LAYER"
ok singularity cache clean -f -T blob
expect_absent "$C/oci"
expect_exists "$C/oci-tmp"
run singularity exec "$SERVER" /bin/sh -c 'echo ran'
expect_out '^ran$'
refuse_err INFO
ok singularity cache clean --type=all --force
expect_equal "$(find "$C" -type f ! -path "$C/index/*")" ""
run singularity exec "$SERVER" /bin/sh -c 'echo ran'
expect_out '^ran$'
ok singularity cache clean -f --max-size 1K
expect_equal "$(find "$C" -name '*.sif')" ""
run singularity cache clean -f --max-size much
expect_rc 1
finish
