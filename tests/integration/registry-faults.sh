# Registries that misbehave: each fault ends in the image itself or in an error that names it, and nothing is left.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/registry.sh"
need_tool docker-registry skopeo python3 curl jq
baseline

start_registry open && OPEN=127.0.0.1:$PORT
upload full.oci:latest "$OPEN/lab/full:latest"
# The name stays the same, so that equal images are equal files; registries.conf says where it leads.
export SINGULARITY_DISABLE_CACHE=1 CONTAINERS_REGISTRIES_CONF=$T/registries.conf
lead_to() { printf '[[registry]]\nprefix = "images.test"\nlocation = "%s"\n' "$1" >"$CONTAINERS_REGISTRIES_CONF"; }
lead_to "$OPEN"
ok singularity pull "$T/good.sif" docker://images.test/lab/full

# faulty NAME RULE...: a server before the registry with these rules; sets FAULTY.
faulty() {
    local name=$1 rules
    shift
    rules=$(IFS=,; echo "$*")
    echo "[$rules]" >"$T/$name.json"
    start_script "$name" python3 "$SUPPORT/faulty-server.py" --table "$T/$name.json" --upstream "http://$OPEN" --log "$T/$name.log"
    lead_to "127.0.0.1:$PORT"
}
pull_it() { run singularity --set https.idle_timeout=1 pull --force "$T/w/x.sif" docker://images.test/lab/full; }
nothing_left() {
    expect_absent "$T/w/x.sif"
    rm -f "$T/w/x.sif"
    [ -z "$(find "$T/w" "$T/tmp" -mindepth 1)" ] || { fail "left behind"; find "$T/w" "$T/tmp" -mindepth 1; }
}
M='"match": "/manifests/"' B='"match": "/blobs/"'
CONFIG=$(curl -sS -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$OPEN/v2/lab/full/manifests/latest" | jq -r .config.digest)

number=0
survives() { # SENTENCE RULE...
    check "$1"
    faulty "good$((number += 1))" "${@:2}"
    pull_it
    expect_rc 0
    expect_same_file "$T/w/x.sif" "$T/good.sif"
    rm -f "$T/w/x.sif"
}
fails() { # SENTENCE REGEX RULE...
    check "$1"
    faulty "bad$((number += 1))" "${@:3}"
    pull_it
    expect_failure
    expect_err "$2"
    nothing_left
}

survives "a connection that is reset once in a layer" "{\"do\": \"reset\", $B, \"method\": \"GET\", \"at\": 1000, \"times\": 1}"
survives "a layer that ends too early once" "{\"do\": \"close\", $B, \"method\": \"GET\", \"at\": 1000, \"times\": 1}"
survives "silence in a layer" "{\"do\": \"stall\", $B, \"method\": \"GET\", \"at\": 1000, \"times\": 1}"
survives "a server that ignores ranges" "{\"do\": \"reset\", $B, \"method\": \"GET\", \"at\": 1000, \"times\": 1}" "{\"do\": \"ignore-range\", $B}"
survives "a server error that passes" "{\"do\": \"status\", $M, \"code\": 503, \"times\": 1}"
survives "too many requests, once" "{\"do\": \"status\", $M, \"code\": 429, \"retry_after\": \"1\", \"times\": 1}"
survives "a registry that is slow, and never silent for long" "{\"do\": \"trickle\", $M, \"n\": 50}" "{\"do\": \"trickle\", $B, \"n\": 20000}"
survives "chunked answers" "{\"do\": \"chunked\", $B, \"n\": 777}"

fails "a manifest that is a web page" 'web page' "{\"do\": \"html\", $M}"
fails "a manifest that is no JSON" 'not JSON' "{\"do\": \"json\", $M, \"text\": \"{\"}"
fails "a body that is both index and manifest" 'ambiguous' "{\"do\": \"json\", $M, \"text\": \"{\\\"schemaVersion\\\":2,\\\"manifests\\\":[],\\\"config\\\":{},\\\"layers\\\":[]}\"}"
fails "a manifest of schema 1" 'schema 1' "{\"do\": \"json\", $M, \"text\": \"{\\\"schemaVersion\\\":1,\\\"fsLayers\\\":[]}\"}"
fails "a manifest of 40 MB" 'larger than the limit' "{\"do\": \"json\", $M, \"fill\": 40000000}"
fails "a manifest with one bit wrong" '(does not match|not JSON|not an object|invalid|unknown|missing)' "{\"do\": \"flip\", $M, \"at\": 100, \"method\": \"GET\"}"
fails "a layer with one bit wrong" '(digest|corrupt|damaged|match)' "{\"do\": \"flip\", $B, \"at\": 100, \"method\": \"GET\"}"
fails "a config with one bit wrong" "lab/full: the config: what came does not match the digest $CONFIG" "{\"do\": \"flip\", \"match\": \"/blobs/$CONFIG\", \"at\": 100, \"method\": \"GET\"}"
fails "a config of another image" "$CONFIG .*(match|digest|bytes)" "{\"do\": \"json\", \"match\": \"/blobs/$CONFIG\", \"text\": \"{}\"}"
fails "lengths that contradict each other" '.' "{\"do\": \"lengths\", $B}"
fails "a registry that says 401 for ever" 'unauthorized|401' '{"do": "unauthorized", "challenge": "Basic realm=\"x\""}'
fails "a token server that is none" 'token server' '{"do": "unauthorized", "challenge": "Bearer realm=\"nowhere\""}'
fails "403" '403|denied' "{\"do\": \"status\", $M, \"code\": 403}"
fails "404" '404|unknown' "{\"do\": \"status\", $M, \"code\": 404}"
fails "429 for ever" 'toomanyrequests' "{\"do\": \"status\", $M, \"code\": 429, \"retry_after\": \"0\"}"
fails "500 for ever" '500' "{\"do\": \"status\", $M, \"code\": 500}"
fails "a redirect in circles" 'redirect' "{\"do\": \"loop\", $B}"
fails "a redirect to a file" '.' "{\"do\": \"redirect\", $B, \"to\": \"file:///etc/passwd\"}"
fails "a redirect to a link-local address" 'link-local' "{\"do\": \"redirect\", $B, \"to\": \"http://169.254.169.254/latest\"}"
fails "layers that are gone" 'blob sha256:' "{\"do\": \"status\", $B, \"code\": 404, \"method\": \"GET\"}"
fails "a layer that never gets on" 'blob sha256:' "{\"do\": \"reset\", $B, \"at\": 10, \"method\": \"GET\"}"
fails "an answer that is no HTTP" '.' '{"do": "garbage"}'

check "a port where nobody listens"
lead_to 127.0.0.1:1
pull_it
expect_failure
expect_err '127\.0\.0\.1:1.*refused'
nothing_left

check "Ctrl-C while the registry is silent ends it at once"
faulty silent "{\"do\": \"stall\", $B, \"method\": \"GET\", \"at\": 100}"
start "$T/log" singularity pull "$T/w/x.sif" docker://images.test/lab/full
for ((i = 0; i < 200; i++)); do
    ! grep -q blobs "$T/silent.log" 2>/dev/null || break
    sleep 0.05
done
kill -INT "$PID"
ended
[ "$RC" != 0 ] || fail "it went on"
nothing_left

check "faults at random places"
SEED=${SG_SEED:-$RANDOM}
note "seed $SEED (SG_SEED=$SEED repeats it)"
faulty random
for ((round = 0; round < ${SG_ROUNDS:-100}; round++)); do
    case $((round % 3)) in 0) fault=reset ;; 1) fault=close ;; 2) fault=flip ;; esac
    # The server sees that the table is another one.
    echo "[{\"do\": \"$fault\", \"match\": \"/(blobs|manifests)/\", \"method\": \"GET\", \"at\": \"random\", \"seed\": $((SEED + round)), \"times\": 1}]" >"$T/table"
    mv "$T/table" "$T/random.json"
    pull_it
    if [ "$RC" = 0 ]; then
        expect_same_file "$T/w/x.sif" "$T/good.sif"
        rm -f "$T/w/x.sif"
    else
        expect_failure
        nothing_left
    fi
done

stop_servers
expect_nothing_left
finish
