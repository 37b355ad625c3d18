# Images from real registries: open ones, with TLS, with passwords, behind a token server and through mirrors.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/registry.sh"
need_tool docker-registry skopeo htpasswd openssl python3 curl jq
baseline

SECRET='s3cret $%&"word'
export DOCKER_CONFIG=$T/docker
mkdir -p "$DOCKER_CONFIG"

# ---- Servers ---------------------------------------------------------------------------------------
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$T/tls.key" -out "$T/tls.crt" 2>/dev/null
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=tests -keyout "$T/token.key" -out "$T/token.crt" 2>/dev/null
htpasswd -Bbc "$T/htpasswd" alice "$SECRET" 2>/dev/null
chmod 644 "$T"/*.crt "$T/htpasswd"

start_registry open && OPEN=127.0.0.1:$PORT
start_registry tls "  tls: {certificate: $T/tls.crt, key: $T/tls.key}" && TLS=localhost:$PORT
start_registry locked "auth:" "  htpasswd: {realm: tests, path: $T/htpasswd}" && LOCKED=127.0.0.1:$PORT
start_script token python3 "$SUPPORT/token-server.py" --key "$T/token.key" --cert "$T/token.crt" --user "alice:$SECRET" \
    --identity "identity of alice" --log "$T/token.log"
REALM=http://127.0.0.1:$PORT/token
start_registry tokens "auth:" "  token: {realm: '$REALM', service: tests, issuer: tests, rootcertbundle: $T/token.crt}" &&
    TOKENS=127.0.0.1:$PORT

for to in "$OPEN" "$TLS"; do upload full.oci:latest "$to/lab/full:latest"; done
upload full.oci:latest "$OPEN/lab/full:v2" --format v2s2
upload_index index.oci:multi "$OPEN/lab/many" amd64 arm64
upload zstd.oci:latest "$OPEN/lab/zstd:latest"
upload full.oci:latest "$LOCKED/lab/full:latest" --dest-creds "alice:$SECRET"
upload full.oci:latest "$TOKENS/public/full:latest" --dest-creds "alice:$SECRET"
upload full.oci:latest "$TOKENS/private/full:latest" --dest-creds "alice:$SECRET"

# ---- Pull, build, exec -----------------------------------------------------------------------------
pulls() {
    check "pull from a registry on this machine makes the file that the guide names"
    run me singularity pull "docker://$OPEN/lab/full"
    expect_rc 0
    expect_exists full_latest.sif
    expect_err '^Copying blob sha256:'
    run me singularity exec full_latest.sif cat /etc/motd
    expect_equal "$OUT" "layer two"
    check "a tag, Docker's schema 2, a digest and the name all lead to the same content"
    ok me singularity pull v2.sif "docker://$OPEN/lab/full:v2"
    run me singularity exec v2.sif cat /etc/motd
    expect_equal "$OUT" "layer two"
    local digest
    digest=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$OPEN/lab/full:latest")
    ok me singularity pull "docker://$OPEN/lab/full@$digest"
    expect_exists "full_sha256.${digest#sha256:}.sif"
    run me singularity exec "full_sha256.${digest#sha256:}.sif" cat /etc/motd
    expect_equal "$OUT" "layer two"
    ok me singularity build zstd.sif "docker://$OPEN/lab/zstd"
    check "build writes the file that is named"
    ok me singularity build built.sif "docker://$OPEN/lab/full"
    run me singularity exec built.sif cat /etc/motd
    expect_equal "$OUT" "layer two"
    check "an index gives the platform that is asked for"
    ok me singularity pull --arch arm64 arm.sif "docker://$OPEN/lab/many"
    run me singularity inspect --json arm.sif
    ok me singularity pull own.sif "docker://$OPEN/lab/many"
    ! cmp -s arm.sif own.sif || fail "two platforms, one file"
    ok me singularity pull --arch arm64 --arch-variant 8 variant.sif "docker://$OPEN/lab/many"
    cmp -s arm.sif variant.sif || fail "the variant led to another image"
    run me singularity pull --arch s390x none.sif "docker://$OPEN/lab/many"
    expect_failure
    expect_err 'no image for linux/s390x in .*; there is linux/'
    expect_absent none.sif
    check "a missing repository and a missing tag are told in the registry's words"
    run me singularity pull "docker://$OPEN/lab/nothing"
    expect_failure
    expect_err "conveyor failed to get: Error reading manifest latest in $OPEN/lab/nothing: (name unknown|manifest unknown): "
    run me singularity pull "docker://$OPEN/lab/full:nothing"
    expect_failure
    expect_err "Error reading manifest nothing in $OPEN/lab/full: manifest unknown: manifest unknown"
}
each_user pulls

cached() {
    check "exec of a cached image asks for the digest once and nothing else"
    ok me singularity exec "docker://$OPEN/lab/full" true
    local before after
    before=$(requests open)
    run me singularity exec "docker://$OPEN/lab/full" cat /etc/motd
    expect_rc 0
    expect_equal "$OUT" "layer two"
    refuse_err '^(INFO|Copying)'
    after=$(requests open)
    expect_equal $((after - before)) 1 "requests of a cached start by tag"
    grep ' - - \[' "$T/open.log" | tail -1 | grep -q '"HEAD ' || fail "the one request was no HEAD: $(tail -1 "$T/open.log")"
    local digest
    digest=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$OPEN/lab/full:latest")
    ok me singularity exec "docker://$OPEN/lab/full@$digest" true
    before=$(requests open)
    ok me singularity exec "docker://$OPEN/lab/full@$digest" true
    expect_equal $(($(requests open) - before)) 0 "requests of a cached start by digest"
}
each_user cached

# ---- TLS -----------------------------------------------------------------------------------------------
secure() {
    check "a certificate that nobody vouches for is refused"
    run me singularity pull tls.sif "docker://$TLS/lab/full"
    expect_failure
    expect_err 'certificate'
    expect_absent tls.sif
    printf 'x\n' >word
    run me sh -c "singularity registry login -u alice --password-stdin docker://$TLS <word"
    expect_failure
    expect_err "the certificate of $TLS "
    check "SSL_CERT_FILE vouches for it"
    SSL_CERT_FILE=$T/tls.crt run me singularity pull tls.sif "docker://$TLS/lab/full"
    expect_rc 0
    check "--no-https and its variables do without"
    ok me singularity pull --no-https no.sif "docker://$TLS/lab/full"
    SINGULARITY_NOHTTPS=1 run me singularity pull no2.sif "docker://$TLS/lab/full"
    expect_rc 0
}
each_user secure

# ---- Passwords ---------------------------------------------------------------------------------------
passwords() {
    check "an image that wants a password says so, and what helps"
    run me singularity pull "docker://$LOCKED/lab/full"
    expect_failure
    expect_err "conveyor failed to get: Error reading manifest latest in $LOCKED/lab/full: unauthorized: authentication required"
    expect_err 'SINGULARITY_DOCKER_USERNAME'
    check "variables, each in its turn"
    local v
    for v in SINGULARITY_DOCKER APPTAINER_DOCKER DOCKER; do
        run me env "${v}_USERNAME=alice" "${v}_PASSWORD=$SECRET" singularity --debug pull --force locked.sif "docker://$LOCKED/lab/full"
        expect_rc 0
        cp "$T/err" "$T/log.$v.$WHO"
    done
    run me env DOCKER_USERNAME=mallory DOCKER_PASSWORD=x SINGULARITY_DOCKER_USERNAME=alice "SINGULARITY_DOCKER_PASSWORD=$SECRET" \
        singularity pull --force locked.sif "docker://$LOCKED/lab/full"
    expect_rc 0
    check "a wrong password is told of without being shown"
    run me env SINGULARITY_DOCKER_USERNAME=alice SINGULARITY_DOCKER_PASSWORD=wr0ng-word singularity --debug pull --force locked.sif "docker://$LOCKED/lab/full"
    expect_failure
    refuse_err 'wr0ng-word'
    refuse_err "$(printf 'alice:wr0ng-word' | base64)"
    check "options, which are in no help"
    ok me singularity pull --force --docker-username alice --docker-password "$SECRET" locked.sif "docker://$LOCKED/lab/full"
    run me singularity pull --help
    refuse_out 'docker-password'
    expect_out 'docker-login'
    check "instances take them as well"
    ok me singularity instance start --docker-username alice --docker-password "$SECRET" "docker://$LOCKED/lab/full" locked
    run me singularity exec instance://locked cat /etc/motd
    expect_equal "$OUT" "layer two"
    ok me singularity instance stop locked
    run me singularity instance start --help
    expect_out 'docker-login'
    run me singularity instance stop --help
    refuse_out 'docker-login'
    check "half of a pair, and --docker-login without a terminal"
    run me singularity pull --docker-username alice "docker://$LOCKED/lab/full"
    expect_rc 1
    run me singularity pull --force --docker-login locked.sif "docker://$LOCKED/lab/full"
    expect_rc 1
    expect_err 'no terminal'
}
each_user passwords

tokens() {
    check "a token server lets everybody pull what is public, in three requests"
    : >"$T/token.log"
    local before
    before=$(requests tokens)
    ok me singularity exec "docker://$TOKENS/public/full" true
    expect_equal "$(wc -l <"$T/token.log")" 1 "tokens for one image"
    before=$(requests tokens) && : >"$T/token.log"
    ok me singularity exec "docker://$TOKENS/public/full" true
    expect_equal $(($(requests tokens) - before + $(wc -l <"$T/token.log"))) 3 "requests of a cached start with tokens"
    check "what is private needs the user"
    run me singularity pull "docker://$TOKENS/private/full"
    expect_failure
    expect_equal "$(grep -A2 -m1 FATAL "$T/err")" "FATAL:   Unable to pull docker://$TOKENS/private/full: conveyor failed to get: Error reading manifest latest in $TOKENS/private/full: errors:
denied: requested access to the resource is denied
unauthorized: authentication required" "the message"
    run me env SINGULARITY_DOCKER_USERNAME=alice "SINGULARITY_DOCKER_PASSWORD=$SECRET" singularity --debug pull --force private.sif "docker://$TOKENS/private/full"
    expect_rc 0
    cp "$T/err" "$T/log.token.$WHO"
    expect_exists private.sif
    check "a wrong password is told of by the token server"
    run me env SINGULARITY_DOCKER_USERNAME=alice SINGULARITY_DOCKER_PASSWORD=no singularity pull --force private.sif "docker://$TOKENS/private/full"
    expect_failure
    expect_err 'incorrect username or password'
}
each_user tokens

# ---- Mirrors -----------------------------------------------------------------------------------------
conf() { cat >"$T/registries.conf" && chmod 644 "$T/registries.conf"; }
mirrors() {
    export CONTAINERS_REGISTRIES_CONF=$T/registries.conf
    check "Docker Hub's images come through mirrors, the next one where one fails"
    conf <<EOF
[[registry]]
prefix = "docker.io/godlovedc"
location = "docker.io/godlovedc"
[[registry.mirror]]
location = "127.0.0.1:1/lab"
[[registry.mirror]]
location = "$OPEN/lab"
EOF
    ok me singularity pull "docker://godlovedc/full"
    expect_exists full_latest.sif
    expect_err '^WARNING: mirror 127.0.0.1:1: '
    check "a location takes the prefix's place"
    printf '[[registry]]\nprefix = "*.example.com"\nlocation = "%s"\n' "$OPEN" | conf
    ok me singularity pull moved.sif docker://images.example.com/lab/full
    check "a blocked registry is not asked"
    printf '[[registry]]\nlocation = "%s"\nblocked = true\n' "$OPEN" | conf
    run me singularity pull blocked.sif "docker://$OPEN/lab/full"
    expect_failure
    expect_err "registry $OPEN is blocked in $T/registries.conf"
    check "insecure does without certificates"
    printf '[[registry]]\nlocation = "%s"\ninsecure = true\n' "$TLS" | conf
    ok me singularity pull insecure.sif "docker://$TLS/lab/full"
    check "a broken configuration is named with its line"
    printf '\n[[registry]\n' | conf
    run me singularity pull broken.sif "docker://$OPEN/lab/full"
    expect_failure
    expect_err "$T/registries.conf:2: "
    CONTAINERS_REGISTRIES_CONF=$T/nothing run me singularity pull broken.sif "docker://$OPEN/lab/full"
    expect_failure
    unset CONTAINERS_REGISTRIES_CONF
}
each_user mirrors

# ---- The words of Singularity -------------------------------------------------------------------------
check "a denied image of Docker Hub is told of word for word"
cat >"$T/hub.json" <<'EOF'
[{"do": "status", "match": "/v2/", "code": 401, "type": "application/json",
  "text": "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"requested access to the resource is denied\"},{\"code\":\"UNAUTHORIZED\",\"message\":\"authentication required\"}]}"}]
EOF
if start_script hub python3 "$SUPPORT/faulty-server.py" --table "$T/hub.json"; then
    printf '[[registry]]\nprefix = "docker.io"\nlocation = "127.0.0.1:%s"\n' "$PORT" | conf
    CONTAINERS_REGISTRIES_CONF=$T/registries.conf run singularity pull docker://ilumb/mylolcow
    expect_failure
    expect_equal "$(grep -A2 -m1 FATAL "$T/err")" "FATAL:   Unable to pull docker://ilumb/mylolcow: conveyor failed to get: Error reading manifest latest in docker.io/ilumb/mylolcow: errors:
denied: requested access to the resource is denied
unauthorized: authentication required"
fi

# ---- Secrets --------------------------------------------------------------------------------------------
check "no password and no token stands in a log"
for file in "$T"/log.*; do
    for word in "$SECRET" "$(printf 'alice:%s' "$SECRET" | base64 -w0)" 'eyJ0eXAi'; do
        ! grep -qF -- "$word" "$file" || fail "$file holds '$word'"
    done
done
[ -n "$(ls "$T"/log.* 2>/dev/null)" ] || fail "nothing was looked through"
[ -z "$(grep -rlF -- "$SECRET" "$HOME" "$USER_HOME" "$T/w" "$T/tmp" 2>/dev/null)" ] || fail "the password lies in a file"

stop_servers
expect_nothing_left
finish
