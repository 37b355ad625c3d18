# shellcheck shell=bash
# hub.sh: a hub of a test's own.

# start_hub DIR [OPTION...]: serves DIR on a free port, or LISTEN_PORT; HUB is its process, URL its address, PORT its port.
start_hub() {
    local data=$1
    shift
    : >"$T/serve.out" # what an earlier one said
    singularity hub serve --data "$data" --listen "127.0.0.1:${LISTEN_PORT:-0}" "$@" >"$T/serve.out" 2>"$T/serve.err" </dev/null &
    HUB=$!
    for _ in $(seq 400); do
        URL=$(sed -n 's/^The hub listens on //p' "$T/serve.out")
        PORT=${URL##*:}
        [ -n "$URL" ] && return
        kill -0 "$HUB" 2>/dev/null || break
        read -rt 0.05 <> <(:) || :
    done
    fail "the hub does not start: $(cat "$T/serve.err")"
}
stop_hub() {
    kill "$HUB"
    wait "$HUB" 2>/dev/null || :
}
# hub_user NAME DIR [OPTION...]: a user, and a token of the user in TOKEN.
hub_user() {
    local name=$1 data=$2
    shift 2
    echo "password of $name" | singularity hub user add "$name" --data "$data" "$@" || fail "user add $name"
    TOKEN=$(singularity hub user token "$name" --data "$data")
}
