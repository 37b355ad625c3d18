# Images of a Docker engine: one that fails in every way, and real ones where they are.
. "$(dirname "$0")/../support/lib.sh"
need_tool python3
SOCKET=$T/engine.sock
ARCHIVE=$IMAGES/save-new.tar
python3 - "$ARCHIVE" <<'P' || skip "the archive of the tests holds more than one image"
import json, sys, tarfile
sys.exit(len(json.load(tarfile.open(sys.argv[1]).extractfile("manifest.json"))) != 1)
P
engine() { start "$T/$1.log" python3 "$SUPPORT/fake-engine.py" "$SOCKET" "$ARCHIVE" "$1"; ENGINE=$PID LOG=$T/$1.log; until_says "$LOG" ready; }
end_engine() { kill "$ENGINE"; wait "$ENGINE" 2>/dev/null; }
export SINGULARITY_DOCKER_HOST=unix://$SOCKET

check "an image of the engine is built as from the archive that docker save writes"
engine good
ok singularity build full.sif docker-daemon:example/full:1.0
ok singularity build archive.sif "docker-archive:$ARCHIVE"
ok singularity sif list full.sif
ok singularity inspect full.sif
grep -q 'GET /v1.41/images/get?names=sha256%3A' "$LOG" || fail "it was not asked for by its id in the agreed version"

check "it is kept in the cache under the image's id, and a second run reads nothing"
ok singularity pull pulled.sif docker-daemon://example/full:1.0
before=$(grep -c images/get "$LOG")
run singularity exec docker-daemon:example/full:1.0 /bin/busybox true
first=$RC
middle=$(grep -c images/get "$LOG")
run singularity exec docker-daemon:example/full:1.0 /bin/busybox true
expect_rc "$first"
expect_equal "$(grep -c images/get "$LOG")" "$middle" "it was read again"
[ "$middle" -le $((before + 1)) ] || fail "it was read more than once"

check "--docker-host beats the variable, and DOCKER_HOST comes last"
SINGULARITY_DOCKER_HOST=unix:///nowhere ok singularity build --force --docker-host "unix://$SOCKET" a.sif docker-daemon:example/full:1.0
unset SINGULARITY_DOCKER_HOST
DOCKER_HOST=unix://$SOCKET ok singularity build --force a.sif docker-daemon:example/full:1.0
export SINGULARITY_DOCKER_HOST=unix://$SOCKET

check "the tag is required, and what the engine lacks is told with a hint"
run singularity build b.sif docker-daemon:example/full
expect_failure
expect_err 'neither a tag nor a digest'
run singularity build b.sif docker-daemon:example/none:2
expect_failure
expect_err 'has no image example/none:2: No such image'
expect_absent b.sif
run singularity build --arch s390x b.sif docker-daemon:example/full:1.0
expect_failure
end_engine

check "old and new engines are spoken to in their own version"
engine old
ok singularity build --force a.sif docker-daemon:example/full:1.0
grep -q 'GET /v1.24/' "$LOG" || fail "an engine without a version was not asked as 1.24"
end_engine
engine new
ok singularity build --force a.sif docker-daemon:example/full:1.0
grep -q 'GET /v1.48/' "$LOG" || fail "not the newest version that both know"
DOCKER_API_VERSION=1.30 run singularity build b.sif docker-daemon:example/full:1.0
expect_failure
expect_err 'Minimum supported API version is 1.44'
end_engine

check "a tag that moves while it is fetched does not mix two images"
engine moved
ok singularity build --force a.sif docker-daemon:example/full:1.0
end_engine

check "an engine that stops half-way, answers rubbish or refuses ends in one error, with nothing left"
for mode in short rubbish denied odd-id garbled; do
    engine $mode
    run singularity build b.sif docker-daemon:example/full:1.0
    expect_failure
    expect_equal "$(grep -c '^FATAL' "$T/err")" 1 "one FATAL line [$mode]"
    expect_absent b.sif
    [ $mode != denied ] || expect_err 'the graph driver has a bad day|the graph driver\?has a bad day'
    end_engine
done
expect_equal "$(find . -name '.b.sif*' | wc -l)" 0 "leftovers"

check "an engine that is not there, or not ours to use, gets a hint"
run singularity build b.sif docker-daemon:example/full:1.0
expect_failure
expect_err 'cannot ask the Docker engine at unix://'
SINGULARITY_DOCKER_HOST=unix://$T/nothing.sock run singularity build b.sif docker-daemon:example/full:1.0
expect_failure
expect_err 'Does the engine run\?'
if [ "$(id -u)" = 0 ]; then
    engine good
    chmod 600 "$SOCKET"
    WHO=user
    run me env SINGULARITY_DOCKER_HOST="unix://$SOCKET" singularity build "$USER_HOME/b.sif" docker-daemon:example/full:1.0
    expect_failure
    expect_err 'group docker'
    WHO=root
    end_engine
fi
SINGULARITY_DOCKER_HOST=ssh://host run singularity build b.sif docker-daemon:example/full:1.0
expect_failure
expect_err 'ssh'

check "Podman's service answers the same way"
if [ "$(id -u)" = 0 ] && command -v podman >/dev/null; then
    run_root=$(mktemp -d /tmp/sgp.XXXXXX) # Podman wants a path of at most 50 characters
    trap 'rm -rf "$run_root"' EXIT
    podman_() { podman --root "$T/podman-root" --runroot "$run_root" --storage-driver vfs "$@"; }
    if podman_ load -q -i "$ARCHIVE" >"$T/load.log" 2>&1; then
        name=$(podman_ images --format '{{.Repository}}:{{.Tag}}' | head -1)
        start "$T/podman.log" podman --root "$T/podman-root" --runroot "$run_root" --storage-driver vfs system service --time=0 "unix://$T/podman.sock"
        PODMAN=$PID
        for _ in $(seq 100); do [ -S "$T/podman.sock" ] && break; sleep 0.1; done
        ok singularity build --docker-host "unix://$T/podman.sock" podman.sif "docker-daemon:$name"
        kill "$PODMAN"
        wait "$PODMAN" 2>/dev/null
    else
        note "podman cannot load an image here: $(head -1 "$T/load.log")"
    fi
else
    note "no podman here, or not root"
fi

check "a real Docker engine"
if [ "$(id -u)" = 0 ] && command -v dockerd >/dev/null && command -v docker >/dev/null; then
    mkdir "$T/certificates" && bash "$SUPPORT/certificates.sh" "$T/certificates"
    PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    start "$T/dockerd.log" dockerd --tlsverify --tlscacert "$T/certificates/ca.crt" --tlscert "$T/certificates/server.crt" \
        --tlskey "$T/certificates/server.key" -H "tcp://127.0.0.1:$PORT" --iptables=false --ip6tables=false --bridge=none --storage-driver=vfs --data-root "$T/docker" \
        --exec-root "$T/docker-exec" -p "$T/dockerd.pid" -H "unix://$T/docker.sock"
    DOCKERD=$PID
    for _ in $(seq 150); do docker -H "unix://$T/docker.sock" version >/dev/null 2>&1 && break; kill -0 $DOCKERD 2>/dev/null || break; sleep 0.2; done
    if docker -H "unix://$T/docker.sock" load -q -i "$ARCHIVE" >"$T/load.log" 2>&1; then
        name=$(docker -H "unix://$T/docker.sock" images --format '{{.Repository}}:{{.Tag}}' | head -1)
        id=$(docker -H "unix://$T/docker.sock" images --no-trunc -q | head -1)
        ok singularity build --docker-host "unix://$T/docker.sock" docker.sif "docker-daemon:$name"
        ok singularity build --docker-host "unix://$T/docker.sock" by-id.sif "docker-daemon:$id"
        ok singularity inspect docker.sif

        check "a real Docker engine over TLS, to those alone who have its certificate"
        mkdir keys
        for pair in ca.crt:ca.pem client.crt:cert.pem client.key:key.pem; do cp "$T/certificates/${pair%:*}" "keys/${pair#*:}"; done
        engine_at() { env -u SINGULARITY_DOCKER_HOST DOCKER_HOST="tcp://127.0.0.1:$PORT" DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH="$1" "${@:2}"; }
        run engine_at "$PWD/keys" singularity build tls.sif "docker-daemon:$name"
        expect_rc 0
        expect_same_file docker.sif tls.sif
        mkdir stranger && cp keys/ca.pem stranger/
        run engine_at "$PWD/stranger" singularity build none.sif "docker-daemon:$name"
        expect_failure
        cp -r keys mistrust && cp "$T/certificates/other-ca.crt" mistrust/ca.pem
        run engine_at "$PWD/mistrust" singularity build none.sif "docker-daemon:$name"
        expect_failure
        expect_err 'certificate'
        run env -u SINGULARITY_DOCKER_HOST DOCKER_HOST="tcp://127.0.0.1:$PORT" singularity build none.sif "docker-daemon:$name"
        expect_failure
        expect_absent none.sif
    else
        note "no Docker engine can run here: $(tail -1 "$T/dockerd.log" | head -c 300)"
    fi
    kill $DOCKERD 2>/dev/null
    wait $DOCKERD 2>/dev/null
else
    note "no dockerd here, or not root"
fi
finish
