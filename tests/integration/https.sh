# Images from the web: nginx as a real server, plain and with TLS of an own authority, then servers that fail; and a transport
# of another project in front of ours.
. "$(dirname "$0")/../support/lib.sh"
need_tool nginx openssl python3 curl
own_prefix
mkdir "$T/certs" "$T/www" "$T/nginx" && bash "$SUPPORT/certificates.sh" "$T/certs"

# ---- servers -------------------------------------------------------------------------------------

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
PLAIN=$(free_port) TLS=$(free_port) DEMANDING=$(free_port)
server_lines() { # NAME
    echo "ssl_certificate $T/certs/$1.crt; ssl_certificate_key $T/certs/$1.key;"
}
cat >"$T/nginx/conf" <<CONF
daemon off;
$([ "$(id -u)" != 0 ] || echo 'user root;')
worker_processes 1;
pid $T/nginx/pid;
error_log $T/nginx/error;
events { worker_connections 64; }
http {
    access_log $T/nginx/access;
    client_body_temp_path $T/nginx; proxy_temp_path $T/nginx; fastcgi_temp_path $T/nginx; uwsgi_temp_path $T/nginx; scgi_temp_path $T/nginx;
    root $T/www;
    server { listen 127.0.0.1:$PLAIN; location /to-tls/ { return 302 https://localhost:$TLS/; } location /denied/ { return 403; } }
    server { listen 127.0.0.1:$TLS ssl; $(server_lines server) location /to-plain/ { return 301 http://localhost:$PLAIN/x.sif; } }
    server { listen 127.0.0.1:$DEMANDING ssl; $(server_lines server) ssl_client_certificate $T/certs/ca.crt; ssl_verify_client on; }
}
CONF
nginx -e "$T/nginx/error" -c "$T/nginx/conf" &
for ((i = 0; i < 100; i++)); do curl -s -o /dev/null "http://127.0.0.1:$PLAIN/" && break; sleep 0.1; done

# faulty ARGUMENT...: starts one; PORT is its. It ends with the test, which holds its standard input open.
faulty() {
    local out
    out=$(mktemp "$T/faulty.XXXXXX")
    python3 "$SUPPORT/faulty-server.py" --log "$T/requests" "$@" < <(tail --pid=$$ -f /dev/null) >"$out" 2>/dev/null &
    for ((i = 0; i < 100; i++)); do [ -s "$out" ] && break; sleep 0.1; done
    PORT=$(cat "$out")
}

singularity build x.sif "oci:$IMAGES/tiny.oci:latest" >/dev/null 2>&1 || singularity build x.sif "oci:$IMAGES/tiny.oci" >/dev/null 2>&1 || fail "no image"
cp x.sif "$T/www/x.sif"
cp x.sif "$T/www/an image.sif"
chmod -R a+rX "$T/www" "$T/certs"
baseline

# ---- a real server ---------------------------------------------------------------------------------

pulled() {
    check "an image comes from a web server and runs"
    ok me singularity pull p.sif "http://127.0.0.1:$PLAIN/x.sif"
    ok me singularity inspect p.sif
    rm -f x.sif
    ok me singularity pull "http://127.0.0.1:$PLAIN/x.sif"
    expect_exists x.sif
    check "a blank in a name is no obstacle"
    ok me singularity pull blank.sif "http://127.0.0.1:$PLAIN/an image.sif"
    check "what is not there is told, and nothing is left"
    run me singularity pull none.sif "http://127.0.0.1:$PLAIN/none.sif"
    expect_failure
    expect_err 'the requested image was not found'
    expect_absent none.sif
    run me singularity pull none.sif "http://127.0.0.1:$PLAIN/denied/x.sif"
    expect_failure
    expect_err '403'
    check "a page in the place of an image is no image"
    echo '<html>Sign in</html>' >"$T/www/page.sif"
    run me singularity exec "http://127.0.0.1:$PLAIN/page.sif" true
    expect_failure

    check "an unknown authority is told with its cure"
    run me singularity pull t.sif "https://localhost:$TLS/x.sif"
    expect_failure
    expect_err 'comes from an authority that is not trusted here'
    expect_err "certs.d/localhost:$TLS/"
    expect_absent t.sif
    check "with the authority in the environment, or in certs.d, the server is trusted"
    SSL_CERT_FILE=$T/certs/ca.crt run me singularity pull t.sif "https://localhost:$TLS/x.sif"
    expect_rc 0
    local home=$HOME
    [ "$WHO" != user ] || home=$USER_HOME
    local d=$home/.config/containers/certs.d/localhost:$TLS
    me mkdir -p "$d" && cp "$T/certs/ca.crt" "$d/tests.crt" && chmod a+r "$d/tests.crt"
    ok me singularity pull --force t.sif "https://localhost:$TLS/x.sif"
    check "a redirect leads to TLS, and not away from it"
    run me singularity pull r.sif "http://127.0.0.1:$PLAIN/to-tls/"
    expect_failure # the place is a directory
    expect_err 'https://localhost'
    run me singularity pull r.sif "https://localhost:$TLS/to-plain/"
    expect_failure
    expect_err 'not secured by TLS'
    check "a server that wants to know who asks is told by the pair of certs.d"
    d=$home/.config/containers/certs.d/localhost:$DEMANDING
    me mkdir -p "$d" && cp "$T/certs/ca.crt" "$d/tests.crt"
    run me singularity pull d.sif "https://localhost:$DEMANDING/x.sif"
    expect_failure
    cp "$T/certs/client.crt" "$d/me.cert"
    run me singularity pull d.sif "https://localhost:$DEMANDING/x.sif"
    expect_failure
    expect_err 'me.cert lacks me.key'
    cp "$T/certs/client.key" "$d/me.key" && chmod a+r "$d"/*
    ok me singularity pull d.sif "https://localhost:$DEMANDING/x.sif"

    check "--debug shows the requests and no password"
    run me singularity --debug pull --force g.sif "http://me:geheim@127.0.0.1:$PLAIN/x.sif?token=geheim"
    expect_rc 0
    expect_err "GET http://127.0.0.1:$PLAIN/x.sif\?token=\.\.\."
    refuse_err geheim
    check "nor does a failure"
    run me singularity pull none.sif "http://me:geheim@127.0.0.1:$PLAIN/none.sif?token=geheim"
    expect_failure
    expect_err "Unable to pull http://127.0.0.1:$PLAIN/none.sif\?\.\.\.: "
    refuse_err geheim
    if [ "$WHO" = root ] || [ $FUSE_FOR_USERS = yes ]; then
        check "an image runs by its URL"
        ok me singularity exec "http://127.0.0.1:$PLAIN/x.sif" /bin/busybox true
    fi
}
each_user pulled

check "help by scheme"
ok singularity help https
expect_out 'certs.d'

# ---- servers that fail ------------------------------------------------------------------------------

faulty --root "$T/www"
faults() {
    local target
    check "no fault gives a short image"
    for target in close?at=500 reset?at=500 close?at=-1 more chunked?fault=cut chunked?fault=size head garbage status?code=503 \
        redirect?to=file:///etc/passwd redirect?to=http://169.254.169.254/x.sif loop unauthorized status?code=429\&retry_after=5; do
        run me singularity pull f.sif "http://127.0.0.1:$PORT/do/$target"
        expect_failure
        expect_absent f.sif
    done
    expect_err 'the server says: 5'
    check "silence ends with the configured time"
    SINGULARITY_HTTPS_IDLE_TIMEOUT=1 run me singularity pull f.sif "http://127.0.0.1:$PORT/do/stall?at=500"
    expect_failure
    expect_err 'no byte came for 1 s'
    expect_err 'https.idle_timeout'
    check "interrupting a stalled download leaves nothing"
    rm -f "$T/requests"
    start "$T/stalled" me singularity pull f.sif "http://127.0.0.1:$PORT/do/stall?size=1000000&at=500000"
    for ((i = 0; i < 200; i++)); do grep -q '"GET".*stall' "$T/requests" 2>/dev/null && break; sleep 0.1; done
    kill -INT $PID
    ended
    [ $RC != 0 ] || fail "interrupting it gave 0"
    expect_absent f.sif
}
each_user faults

# ---- a proxy, and a transport of another project ----------------------------------------------------------

check "a proxy is used where the environment names one"
faulty --proxy
rm -f "$T/requests"
ALL_PROXY=http://127.0.0.1:$PORT run singularity pull --force q.sif "http://origin.test:$PLAIN/x.sif"
expect_rc 0
grep -q '"action": "forwarded"' "$T/requests" || fail "the proxy was not asked"

manifest=$(find "$SG_STAGE/plugins-gcc/" -path '*/my-proxy/plugin.yaml' | head -n 1)
check "one line puts another transport in front of ours, and it sees each request"
echo "plugins: [{manifest: $manifest, config: {my-proxy.log: $T/tmp/log}}]" >"$PREFIX/etc/singularity/plugins.d/50-my-proxy.yaml"
ok singularity pull --force m.sif "http://me:geheim@127.0.0.1:$PLAIN/x.sif?token=geheim"
grep -qx "GET http://127.0.0.1:$PLAIN/x.sif" "$T/tmp/log" || fail "the log lacks the request: $(cat "$T/tmp/log")"
! grep -q geheim "$T/tmp/log" || fail "the log holds a secret"
SSL_CERT_FILE=$T/certs/ca.crt run singularity pull --force m.sif "https://localhost:$TLS/x.sif"
expect_rc 0
grep -qx "GET https://localhost:$TLS/x.sif" "$T/tmp/log" || fail "the log lacks the request"
ok singularity plugin list
expect_out 'my-proxy'
check "registered before the one that it needs, it says so"
echo "plugins: [{manifest: $manifest, before: https}]" >"$PREFIX/etc/singularity/plugins.d/50-my-proxy.yaml"
rm -f "$T/tmp/log"
ok singularity pull --force m.sif "http://127.0.0.1:$PLAIN/x.sif" # ours wins: theirs is hidden
echo "plugins: [{manifest: $manifest}, {name: https, enabled: false}]" >"$PREFIX/etc/singularity/plugins.d/50-my-proxy.yaml"
run singularity pull --force m.sif "http://127.0.0.1:$PLAIN/x.sif"
expect_failure
check "without its line every trace of it is gone"
rm "$PREFIX/etc/singularity/plugins.d/50-my-proxy.yaml"
ok singularity pull --force m.sif "http://127.0.0.1:$PLAIN/x.sif"
expect_absent "$T/tmp/log"

kill "$(cat "$T/nginx/pid")"
finish
