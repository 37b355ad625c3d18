# push to real registries by ORAS, and pull again.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/registry.sh"
need_tool docker-registry skopeo htpasswd curl jq
baseline

SECRET='s3cret/word'
htpasswd -Bbc "$T/htpasswd" alice "$SECRET" 2>/dev/null
start_registry open && OPEN=127.0.0.1:$PORT
start_registry locked "auth:" "  htpasswd: {realm: tests, path: $T/htpasswd}" && LOCKED=127.0.0.1:$PORT
upload tiny.oci:latest "$OPEN/lab/tiny:latest"
ok singularity build "$T/image.sif" "oci:$IMAGES/full.oci:latest"
chmod 644 "$T/image.sif"
manifest() { curl -sS -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$OPEN/v2/$1"; }

pushes() {
    local name=lab/$WHO digest size
    check "push puts the file there as Apptainer does"
    cp "$T/image.sif" image.sif
    ok me singularity push "$T/image.sif" "oras://$OPEN/$name:v1"
    expect_err "^INFO:    Pushed .* to $OPEN/$name:v1"
    digest=sha256:$(sha256sum <"$T/image.sif" | cut -d ' ' -f 1) size=$(stat -c %s "$T/image.sif")
    manifest "$name/manifests/v1" >m.json
    expect_equal "$(jq -r '.layers[0].digest' m.json)" "$digest" "digest of the layer"
    local created
    created=$(jq -r '.annotations["org.opencontainers.image.created"] // ""' m.json)
    expect_equal "$(cat m.json)" "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{\"mediaType\":\"application/vnd.sylabs.sif.config.v1+json\",\"size\":2,\"digest\":\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\"data\":\"e30=\"},\"layers\":[{\"mediaType\":\"application/vnd.sylabs.sif.layer.v1.sif\",\"size\":$size,\"digest\":\"$digest\",\"annotations\":{\"org.opencontainers.image.title\":\"image.sif\"}}],\"annotations\":{\"org.opencontainers.image.created\":\"$created\"}}" "the manifest"
    expect_equal "$created" 2020-09-13T12:26:40Z "created"
    check "pull gives the same bytes and tells the digest"
    run me singularity pull back.sif "oras://$OPEN/$name:v1"
    expect_rc 0
    expect_err "^INFO:    Digest: sha256:$(sha256sum <m.json | cut -d ' ' -f 1)"
    expect_same_file back.sif "$T/image.sif"
    ok me singularity pull "oras://$OPEN/$name:v1"
    expect_exists "${name#*/}_v1.sif"
    run me singularity exec "oras://$OPEN/$name:v1" cat /etc/motd
    expect_rc 0
    expect_equal "$OUT" "layer two"
    check "a cached start from an oras: URI over plain http maps no libcrypto"
    if strace -o /dev/null true 2>/dev/null; then
        run me strace -f -e trace=open,openat -o trace.txt singularity exec "oras://$OPEN/$name:v1" /bin/true
        expect_rc 0
        grep -q '/oras\.so"' trace.txt || fail "the request was not traced"
        ! grep -E '"[^"]*(libssl|libcrypto)' trace.txt | grep -v ENOENT | head -5 | grep . || fail "it loaded them"
    fi
    check "what is there is not sent again"
    run me singularity push "$T/image.sif" "oras://$OPEN/$name:v2"
    expect_rc 0
    expect_err 'has blob sha256:.* already'
    check "a blob of another repository is mounted"
    run me singularity push --mount-from "$name" "$T/image.sif" "oras://$OPEN/$name-copy:v1"
    expect_rc 0
    expect_err 'from another of its repositories'
    check "chunks make the same file"
    ok me singularity push --set oras.chunk_size=100000 "$T/image.sif" "oras://$OPEN/$name-chunks:v1"
    ok me singularity pull chunks.sif "oras://$OPEN/$name-chunks:v1"
    expect_same_file chunks.sif "$T/image.sif"
    check "annotations are in the manifest, in order"
    ok me singularity push --annotation b=2 --annotation 'a=<&>' "$T/image.sif" "oras://$OPEN/$name:noted"
    manifest "$name/manifests/noted" | grep -qF '"annotations":{"a":"\u003c\u0026\u003e","b":"2","org.opencontainers.image.created":' || fail "annotations: $(manifest "$name/manifests/noted")"
    check "passwords come from where pulls have them, and stay unseen"
    run me singularity push "$T/image.sif" "oras://$LOCKED/$name:v1"
    expect_failure
    expect_err 'unauthorized: authentication required'
    run me env SINGULARITY_DOCKER_USERNAME=alice "SINGULARITY_DOCKER_PASSWORD=$SECRET" singularity --debug push "$T/image.sif" "oras://$LOCKED/$name:v1"
    expect_rc 0
    refuse_err "$SECRET"
    refuse_err "$(printf 'alice:%s' "$SECRET" | base64)"
}
each_user pushes

# A server before the registry that does to PATCH requests what a table says; the size of each is in its log.
table() {
    echo "[$1]" >"$T/between.new"
    mv "$T/between.new" "$T/between.json"
    : >"$T/between.log"
}
table ''
start_script between python3 "$SUPPORT/faulty-server.py" --table "$T/between.json" --upstream "http://$OPEN" --log "$T/between.log"
BETWEEN=127.0.0.1:$PORT
sent() { jq -s 'map(select(.method == "PATCH" and .action == "ok") | .body) | add // 0' "$T/between.log"; }
uploads() { jq -s 'map(select(.method == "POST")) | length' "$T/between.log"; }
# reaches ACTION: until a request has met that.
reaches() { for ((i = 0; i < 600; i++)); do grep -q "\"action\": \"$1\"" "$T/between.log" && return; sleep 0.05; done; fail "no request met $1"; }
# start_push TO ACTION: a push in the background, until a request has met ACTION; its messages are in $T/killed
start_push() {
    local words=()
    [ "$WHO" = root ] || words=("${USER_WORDS[@]}")
    (exec "${words[@]}" singularity push --set oras.chunk_size="$CHUNK" "$T/image.sif" "oras://$BETWEEN/$1" 2>"$T/killed") &
    PUSH=$!
    reaches "$2"
}
end_push() { kill -"$1" $PUSH; wait $PUSH 2>/dev/null; } # SIGNAL
push_it() { run me singularity push --set oras.chunk_size="$CHUNK" "${@:2}" "$T/image.sif" "oras://$BETWEEN/$1"; }
arrived() {
    ok me singularity pull --force arrived.sif "oras://$OPEN/$1"
    expect_same_file arrived.sif "$T/image.sif"
}
SIZE=$(stat -c %s "$T/image.sif")
CHUNK=$((SIZE / 8))

resumes() {
    local name=lab/resumed-$WHO home cache
    home=$HOME
    [ "$WHO" = root ] || home=$USER_HOME
    cache=$home/.singularity/cache
    states() { find "$cache/state" -type f 2>/dev/null; }
    check "a push that was killed goes on where it was"
    me rm -rf "$cache"
    table '{"do": "ok", "method": "PATCH", "times": 3}, {"do": "hold", "method": "PATCH", "times": 1}'
    start_push "$name:killed" hold
    end_push KILL
    expect_equal "$(states | wc -l)" 1 "states"
    expect_equal "$(stat -c %a "$(states)")" 600 "mode of the state"
    table ''
    push_it "$name:killed" --debug
    expect_rc 0
    expect_err "^INFO: +The registry has $((CHUNK * 3)) of $SIZE bytes from a push that was broken off: going on there"
    refuse_err '_state=[^.]'
    expect_equal "$(uploads)" 1 "uploads (of the config)"
    expect_equal "$(sent)" $((SIZE - CHUNK * 3)) "bytes sent again"
    arrived "$name:killed"
    expect_equal "$(states)" '' "states"

    check "an interrupted push says that it may go on"
    table '{"do": "ok", "method": "PATCH", "times": 2}, {"do": "hold", "method": "PATCH", "times": 1}'
    name=$name-2
    start_push "$name:v1" hold
    end_push TERM
    grep -q 'Give the same command again' "$T/killed" || { fail "it does not say so"; cat "$T/killed"; }
    check "two pushes at once of one file each do their work"
    table '{"do": "hold", "method": "PATCH", "times": 1}'
    start_push "$name:v1" hold
    push_it "$name:v2"
    expect_rc 0
    refuse_err 'going on there'
    arrived "$name:v2"
    end_push TERM
    push_it "$name:v1"
    expect_rc 0
    expect_err 'has blob sha256:.* already'
    arrived "$name:v1"
    expect_equal "$(states)" '' "states"

    check "an upload that the registry gave up, as it broke within a piece, is begun anew"
    table '{"do": "ok", "method": "PATCH", "times": 2}, {"do": "cut-body", "method": "PATCH", "at": 10000, "times": 1}'
    name=$name-3
    start_push "$name:v1" cut-body
    end_push KILL
    table ''
    push_it "$name:v1"
    expect_rc 0
    arrived "$name:v1"

    check "without a cache, or with one that cannot be written to, a push is a push"
    for how in "env SINGULARITY_DISABLE_CACHE=1" "env SINGULARITY_CACHEDIR=/sys"; do
        name=$name-x
        run me $how singularity push --set oras.chunk_size="$CHUNK" "$T/image.sif" "oras://$BETWEEN/$name:v1"
        expect_rc 0
        refuse_err 'WARNING|ERROR'
        arrived "$name:v1"
    done
    expect_equal "$(states)" '' "states"
}
each_user resumes

check "what cannot be pushed, and where to"
run singularity push "$T/image.sif" "docker://$OPEN/lab/x"
expect_failure
expect_err 'images cannot be pushed to docker://'
expect_err 'oras://'
run singularity push "$T/image.sif" plain/path
expect_failure 1
run singularity push "$T/nothing.sif" "oras://$OPEN/lab/x"
expect_failure
expect_err 'nothing.sif'
echo "no image" >"$T/w/text"
run singularity push "$T/w/text" "oras://$OPEN/lab/x"
expect_failure
expect_err 'is not a SIF'
run singularity push "$T/image.sif" "oras://$OPEN/lab/x@sha256:$(printf 0%.0s $(seq 64))"
expect_failure 1
check "a container image is no SIF file, and the reverse"
run singularity pull "oras://$OPEN/lab/tiny"
expect_failure
expect_err 'docker://'
run singularity pull "docker://$OPEN/lab/root:v1"
expect_failure
expect_err 'oras://'
stop_servers
expect_nothing_left
finish
