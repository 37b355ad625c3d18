# The cache with a real registry: what is asked of it, and what other tools find in the cache meanwhile.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/registry.sh"
need_root
need_tool docker-registry python3 busybox
singularity plugin list | grep -q '^docker ' || skip "this build has no source for registries"
C=$HOME/.singularity/cache

# ---- A registry on a free port, whose log tells every request --------------------------------------
mkdir "$T/registry"
start_registry() {
    cat >"$T/registry.yml" <<C
version: 0.1
log: {level: info, accesslog: {disabled: false}}
storage: {filesystem: {rootdirectory: $T/registry}}
http: {addr: 127.0.0.1:$PORT}
C
    docker-registry serve "$T/registry.yml" >"$T/registry.log" 2>&1 &
    REGISTRY=$!
    for _ in $(seq 100); do (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null && return; sleep 0.1; done
    fail "the registry did not start: $(head -c 500 "$T/registry.log")"
}
PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
start_registry
URL=docker://127.0.0.1:$PORT
export SINGULARITY_NOHTTPS=1
push() { python3 "$SUPPORT/push_image.py" "http://127.0.0.1:$PORT" "$@"; }
# asked REGEX: lines of the access log since `forget` that fit.
forget() { MARK=$(wc -l <"$T/registry.log"); }
asked() { tail -n +$((MARK + 1)) "$T/registry.log" | grep -E '"(GET|HEAD) ' | grep -cE "$1"; }
MARK=0

check "Docker's manifest is kept as OCI's under the hash of what was received"
received=$(push one:latest --docker --layers 3 | sed -n 1p)
run singularity exec "$URL/one" /bin/sh -c 'cat /arch'
expect_rc 0
expect_equal "$OUT" amd64
expect_exists "$C/oci-tmp/${received#sha256:}/one_latest.sif"
python3 - "$C/oci" "${received#sha256:}" <<'P' || fail "the layout is wrong"
import json, sys
top, name = sys.argv[1:]
e, = json.load(open(top + "/index.json"))["manifests"]
assert e["annotations"]["org.opencontainers.image.ref.name"] == name, e
assert e["mediaType"] == "application/vnd.oci.image.manifest.v1+json" and e["platform"] == {"architecture": "amd64", "os": "linux"}, e
m = json.load(open(top + "/blobs/sha256/" + e["digest"][7:]))
types = {m["mediaType"], m["config"]["mediaType"]} | {l["mediaType"] for l in m["layers"]}
assert all(t.startswith("application/vnd.oci.") for t in types), types
P
if command -v skopeo >/dev/null; then ok skopeo inspect "oci:$C/oci:${received#sha256:}"; fi
ok singularity build local.sif "oci:$C/oci:${received#sha256:}"

check "a cached start by tag asks once, by digest and offline not at all"
forget
run singularity exec "$URL/one" /bin/sh -c 'cat /arch'
expect_rc 0
refuse_err 'INFO|blob'
expect_equal "$(asked 'manifests')" 1
expect_equal "$(asked 'blobs')" 0
run singularity exec "$URL/one@$received" true
forget
run singularity exec "$URL/one@$received" /bin/sh -c true
expect_rc 0
run singularity exec --offline "$URL/one" /bin/sh -c true
expect_rc 0
expect_equal "$(asked /one/)" 0

check "a cached start over plain http maps neither libssl nor libcrypto"
if command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null; then
    run strace -f -e trace=open,openat -o trace.txt singularity exec "$URL/one" /bin/sh -c true
    expect_rc 0
    grep -q '/https\.so"' trace.txt || fail "the request was not traced"
    ! grep -E '"[^"]*(/https-tls\.so|libssl|libcrypto|libm\.so|/build\.so)' trace.txt | grep -v ENOENT | head -5 | grep . || fail "it loaded them"
fi

check "a tag that moved is fetched, and only what is new"
push one:latest --docker --layers 4 >/dev/null
forget
run singularity exec "$URL/one" /bin/sh -c true
expect_err 'Skipping fetch of repeat blob'
expect_err 'Copying blob'
expect_equal "$(asked 'GET .*blobs')" 2 # the new layer and the config

check "two architectures of one tag are two entries, each right"
rm -rf "$C"
push two:latest --arch amd64,arm64 >"$T/pushed"
run singularity exec "$URL/two" /bin/sh -c 'cat /arch'
expect_equal "$OUT" amd64
run singularity exec --arch arm64 "$URL/two" /bin/sh -c 'cat /arch'
for arch in amd64 arm64; do
    name=$(sed -n "s/^$arch sha256://p" "$T/pushed")
    expect_exists "$C/oci-tmp/$name/two_latest.sif"
    ok singularity build --force --sandbox box "$C/oci-tmp/$name/two_latest.sif"
    expect_equal "$(cat box/arch)" $arch
done
run singularity exec "$URL/two" /bin/sh -c 'cat /arch'
expect_equal "$OUT" amd64
refuse_err INFO

check "of many processes one asks for each blob"
rm -rf "$C"
push many:latest --layers 5 --size 300000 >/dev/null
forget
for i in $(seq 12); do singularity exec "$URL/many" /bin/sh -c 'echo ran' >"$T/out.$i" 2>"$T/err.$i" & pids[i]=$!; done
wait "${pids[@]}"
expect_equal "$(cat "$T"/out.* | sort | uniq -c | tr -s ' ')" " 12 ran"
expect_equal "$(tail -n +$((MARK + 1)) "$T/registry.log" | grep -oE '"GET /v2/many/blobs/sha256:[0-9a-f]+' | sort | uniq -d)" "" "blobs that were asked for twice"

check "other tools read the layout while many pull"
rm -rf "$C"
for i in $(seq 16); do push "img$i:latest" --layers 2 --size 200000 --base "base$((i / 2))" --docker; done | sed -n 's/^amd64 //p' | sort -u >"$T/pushed"
singularity pull first.sif "$URL/img1" 2>/dev/null
first=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"])' "$C/oci/index.json")
pids=()
for i in $(seq 16); do singularity pull "img$i.sif" "$URL/img$i" >/dev/null 2>"$T/err.$i" & pids+=($!); done
while kill -0 "${pids[@]}" 2>/dev/null; do
    [ ! -x "$(command -v skopeo)" ] || skopeo inspect --raw "oci:$C/oci:$first" >/dev/null 2>"$T/err" || fail "skopeo: $(cat "$T/err")"
    [ ! -x "$(command -v umoci)" ] || umoci ls --layout "$C/oci" >/dev/null 2>"$T/err" || fail "umoci: $(cat "$T/err")"
    singularity build --force reread.sif "oci:$C/oci:$first" >/dev/null 2>"$T/err" || fail "oci: $(cat "$T/err")"
done
for p in "${pids[@]}"; do wait "$p" || fail "a pull failed"; done
expect_equal "$(python3 -c 'import json,sys; print(len(json.load(open(sys.argv[1]))["manifests"]))' "$C/oci/index.json")" "$(wc -l <"$T/pushed")" "images listed"
for i in $(seq 16); do ok singularity exec "img$i.sif" /bin/sh -c true; done

check "a registry that says 429 for ever is done without, with a warning"
run singularity exec "$URL/img1" true
printf '[{"do": "status", "match": "/manifests/", "code": 429, "retry_after": "3600"}]' >"$T/limited.json"
REAL=$PORT
start_script limited python3 "$SUPPORT/faulty-server.py" --table "$T/limited.json" --log "$T/limited.log" --upstream "http://127.0.0.1:$REAL"
printf '[[registry]]\nprefix = "limited.test"\nlocation = "127.0.0.1:%s"\n' "$REAL" >"$T/registries.conf"
export CONTAINERS_REGISTRIES_CONF=$T/registries.conf
run singularity exec docker://limited.test/img1 /bin/sh -c 'cat /arch'
expect_equal "$OUT" amd64
sed -i "s/$REAL/$PORT/" "$T/registries.conf"
run singularity exec docker://limited.test/img1 /bin/sh -c 'cat /arch'
expect_rc 0
expect_equal "$OUT" amd64
expect_err 'WARNING: the image from the cache is used, which may not be the newest: .*toomanyrequests'
run singularity exec docker://limited.test/never true
expect_failure
expect_err 'toomanyrequests'

check "who has the image waits a few seconds for a registry that says 429 without an end, or nothing"
for rule in '"do": "status", "code": 429' '"do": "stall", "at": -1'; do
    printf '[{%s, "match": "/manifests/"}]' "$rule" >"$T/limited.new"
    mv "$T/limited.new" "$T/limited.json"
    : >"$T/limited.log"
    run singularity exec docker://limited.test/img1 /bin/sh -c 'cat /arch'
    expect_rc 0
    expect_equal "$OUT" amd64
    expect_err 'WARNING: the image from the cache is used, which may not be the newest: docker://limited.test/img1: no answer within 5 seconds'
    [ "$(wc -l <"$T/limited.log")" -le 3 ] || fail "the registry was asked again and again"
done
stop_servers
PORT=$REAL
unset CONTAINERS_REGISTRIES_CONF

check "without a network the cached image is used, with a warning"
run singularity exec "$URL/img1" true
kill $REGISTRY
wait $REGISTRY 2>/dev/null
run singularity exec "$URL/img1" /bin/sh -c 'cat /arch'
expect_rc 0
expect_equal "$OUT" amd64
expect_err 'WARNING: the image from the cache is used'
run singularity exec "$URL/never" true
expect_failure
expect_equal "$(find "$C/tmp" "$C/leases" -type f)" "" "left in the cache"
finish
