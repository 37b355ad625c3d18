# shellcheck shell=bash
# registry.sh: real registries for a test; sourced after lib.sh. They end with the test's PID namespace, or at `stop_servers`.
SERVERS=()

# start_registry NAME [YAML...]: a docker-registry on a free port of 127.0.0.1; sets PORT. More lines of its configuration
# may follow; its storage is $T/NAME, its log $T/NAME.log.
start_registry() {
    local name=$1 i line
    shift
    mkdir -p "$T/$name"
    {
        printf 'version: 0.1\nlog: {level: info}\nstorage:\n  filesystem: {rootdirectory: %s}\n  delete: {enabled: true}\n' "$T/$name"
        # shellcheck disable=SC2016
        printf 'http:\n  addr: 127.0.0.1:0\n'
        for line; do printf '%s\n' "$line"; done
    } >"$T/$name.yml"
    docker-registry serve "$T/$name.yml" >"$T/$name.log" 2>&1 </dev/null &
    SERVERS+=($!)
    PORT=
    for ((i = 0; i < 200; i++)); do
        PORT=$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$T/$name.log" | head -1)
        [ -z "$PORT" ] || return 0
        sleep 0.05
    done
    fail "docker-registry did not start: $(tail -3 "$T/$name.log")"
    return 1
}

# start_script NAME COMMAND...: a server of tests/support that prints its port and lives as long as its standard input;
# sets PORT.
start_script() {
    local name=$1 i
    shift
    mkfifo "$T/$name.in"
    "$@" >"$T/$name.port" 2>"$T/$name.err" <"$T/$name.in" &
    SERVERS+=($!)
    exec {SERVER_INPUT}>"$T/$name.in"
    for ((i = 0; i < 200; i++)); do
        PORT=$(head -1 "$T/$name.port")
        [ -z "$PORT" ] || return 0
        sleep 0.05
    done
    fail "$name did not start: $(tail -3 "$T/$name.err")"
    return 1
}

stop_servers() {
    [ ${#SERVERS[@]} = 0 ] || kill "${SERVERS[@]}" 2>/dev/null
    wait "${SERVERS[@]}" 2>/dev/null
    SERVERS=()
}

# upload LAYOUT[:REF] NAME [SKOPEO-OPTIONS]: an OCI layout of $IMAGES to HOST:PORT/NAME
upload() {
    local from=$1 to=$2
    shift 2
    skopeo copy -q --dest-tls-verify=false "$@" "oci:$IMAGES/$from" "docker://$to" ||
        fail "skopeo cannot copy $from to $to"
}
# upload_index LAYOUT:REF NAME ARCHITECTURE...: an index of these platforms out of a layout (skopeo copies no index that
# lists things it does not know).
upload_index() {
    local layout=$IMAGES/${1%%:*} ref=${1#*:} to=$2 arch status
    shift 2
    for arch; do
        skopeo copy -q --override-arch "$arch" --dest-tls-verify=false "oci:$layout:$ref" "docker://$to:$arch" || fail "skopeo cannot copy $arch"
    done
    local digest
    digest=$(jq -r --arg ref "$ref" '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == $ref) | .digest' "$layout/index.json")
    jq -c '.manifests |= map(select(.platform.architecture as $a | $ARGS.positional | index($a)) | select(.platform.variant == null))' \
        --args "$@" <"$layout/blobs/sha256/${digest#sha256:}" >"$T/index.json"
    status=$(curl -sS -o "$T/index.answer" -w '%{http_code}' -X PUT -H 'Content-Type: application/vnd.oci.image.index.v1+json' \
        --data-binary "@$T/index.json" "http://${to%%/*}/v2/${to#*/}/manifests/latest")
    [ "$status" = 201 ] || fail "the index was not taken: $status $(cat "$T/index.answer")"
}
# requests NAME [PATTERN]: how many requests the registry NAME has answered.
requests() { grep ' - - \[' "$T/$1.log" | grep -cE -- "${2:-.}"; }
