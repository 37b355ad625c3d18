# A hub that speaks TLS itself: certificates, their renewal, clients, and connections that break.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/hub.sh"
need_tool openssl curl jq
D=$T/hub
hub() { python3 "$SUPPORT/hub_client.py" "$URL" "$@"; }
serial() { openssl s_client -connect "127.0.0.1:$PORT" -servername localhost </dev/null 2>/dev/null | openssl x509 -noout -serial; }
mkdir "$T/certs" && bash "$SUPPORT/certificates.sh" "$T/certs"
cat "$T/certs/server.crt" "$T/certs/ca.crt" >"$T/hub.pem"
cp "$T/certs/server.key" "$T/hub.key"
export SSL_CERT_FILE=$T/certs/ca.crt CURL_CA_BUNDLE=$T/certs/ca.crt
ok singularity build one.sif "oci:$IMAGES/tiny.oci"
SUM=$(sha256sum <one.sif | cut -d' ' -f1)

check "what is wrong with the files is said, and no hub starts"
refused() { run singularity hub serve --data "$D" --listen 127.0.0.1:0 "$@"; expect_failure "$STATUS"; }
STATUS=1
refused --tls-cert "$T/hub.pem"
expect_err '--tls-cert needs --tls-key'
STATUS=255
refused --tls-cert /nowhere.pem --tls-key "$T/hub.key"
expect_err "cannot read the TLS certificate '/nowhere.pem': No such file"
refused --tls-cert "$T/hub.key" --tls-key "$T/hub.key"
expect_err 'is no TLS certificate'
refused --tls-cert "$T/hub.pem" --tls-key "$T/certs/other.key"
expect_err "other.key' is no key to '$T/hub.pem'"
openssl pkey -in "$T/hub.key" -aes256 -passout pass:secret -out locked.key
refused --tls-cert "$T/hub.pem" --tls-key locked.key
expect_err "locked.key' is no key to"
STATUS=1
refused --tls-cert "$T/hub.pem" --tls-key "$T/hub.key" --behind-proxy
expect_err 'exclude each other'
expect_absent "$D"

hub_user alice "$D"
start_hub "$D" --tls-cert "$T/hub.pem" --tls-key "$T/hub.key"
expect_equal "${URL%:*}" https://127.0.0.1

check "a second hub on the same directory is refused, and names the first"
run singularity hub serve --data "$D" --listen 127.0.0.1:0
expect_failure
expect_err "another hub serves '$D' \(process $HUB\)"

check "everything works over TLS: uploads, downloads and ranges, many at once"
hub push "$TOKEN" alice/default/one one.sif v1 >/dev/null || fail "push"
expect_equal "$(hub get - /v1/imagefile/alice/default/one:v1)" "200 $SUM"
expect_equal "$(hub get - /v1/imagefile/alice/default/one:v1 bytes=5-1004)" "206 $(tail -c +6 one.sif | head -c 1000 | sha256sum | cut -d' ' -f1)"
expect_equal "$(hub text - /assets/config/config.prod.json | jq -r .libraryAPI.uri)" "$URL"
expect_equal "$(hub twice "$TOKEN" /v1/images/alice/default/one:nothing)" 200
expect_equal "$(hub cut "$TOKEN" alice/default/cut one.sif)" gone
for ((i = 0; i < 200; i++)); do [ -z "$(find "$D/uploads" -type f)" ] && break; sleep 0.05; done
expect_equal "$(find "$D/uploads" -type f)" "" "what a cut upload leaves"
# A large one, which does not fit into any buffer on the way.
cp one.sif large.sif && truncate -s 70000000 large.sif
LARGE=$(sha256sum <large.sif | cut -d' ' -f1)
hub push "$TOKEN" alice/default/large large.sif v1 >/dev/null || fail "push of a large image"
for i in 1 2 3 4; do hub get - /v1/imagefile/alice/default/large:v1 >"got.$i" & PIDS+=($!); done
wait "${PIDS[@]}"
expect_equal "$(sort -u got.*)" "200 $LARGE"
check "the cookie of a session is for TLS alone"
curl -sS -D - -o /dev/null -H 'Content-Type: application/json' --data '{"user":"alice","password":"password of alice"}' "$URL/api/session" >session.txt
grep -qi '^set-cookie: .*; Secure' session.txt || fail "$(cat session.txt)"

check "the product's own client uses it"
singularity remote add --no-login site "127.0.0.1:$PORT" >/dev/null || fail "remote add"
echo "$TOKEN" >token
ok singularity remote login --tokenfile token site
ok singularity remote use site
run singularity remote status
expect_out 'Library.*OK'
ok singularity push -U one.sif library://alice/default/mine:v2
ok singularity pull got.sif library://alice/default/mine:v2
expect_same_file got.sif one.sif

check "old protocols and plain http are refused"
run openssl s_client -connect "127.0.0.1:$PORT" -tls1_1
[ "$RC" != 0 ] || fail "TLS 1.1 is spoken"
run curl -sS "http://127.0.0.1:$PORT/healthz"
expect_out 'speaks TLS: use https'
run curl -sS --http2 "$URL/healthz"
expect_out '^ok$'

check "handshakes that stand still keep nobody waiting"
python3 - "$PORT" <<'P' || fail "held connections"
import socket, subprocess, sys
held = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(300)]
for s in held[::2]:
    s.sendall(b"\x16\x03\x01\x02\x00\x01")  # a client hello that never comes whole
sys.exit(subprocess.call(["curl", "-sSf", "-o", "/dev/null", f"https://127.0.0.1:{sys.argv[1]}/healthz"]))
P

check "a renewed certificate is taken at SIGHUP, a bad one is not, and nobody is cut off"
FIRST=$(serial)
bash "$SUPPORT/certificates.sh" "$T/certs"
export SSL_CERT_FILE=$T/certs/ca.crt
mv "$D/access.json" access.old
cp "$T/certs/other.key" "$T/hub.key" # no key to this certificate
kill -HUP "$HUB"
until_says "$T/serve.err" 'SIGHUP: .*is no key to.*what there was is used on'
expect_equal "$(serial)" "$FIRST"
cat "$T/certs/server.crt" "$T/certs/ca.crt" >"$T/hub.pem"
cp "$T/certs/server.key" "$T/hub.key"
kill -HUP "$HUB"
for ((i = 0; i < 200; i++)); do [ "$(serial)" != "$FIRST" ] && break; sleep 0.05; done
[ "$(serial)" != "$FIRST" ] || fail "the old certificate is still shown"
expect_equal "$(hub get - /v1/imagefile/alice/default/one:v1)" "200 $SUM"
grep -q '"path":"/v1/imagefile/alice/default/one:v1"' "$D/access.json" || fail "the access log was not opened again"
grep -q '"client":"127.0.0.1"' "$D/access.json" || fail "the log does not name the client: $(tail -n 1 "$D/access.json")"

check "a hub that is killed leaves no lock, and the next has all that was acknowledged"
{ kill -KILL "$HUB" && wait "$HUB"; } 2>/dev/null
start_hub "$D" --tls-cert "$T/hub.pem" --tls-key "$T/hub.key"
expect_equal "$(hub get - /v1/imagefile/alice/default/large:v1)" "200 $LARGE"
kill -TERM "$HUB"
wait "$HUB"
expect_equal $? 0 "how the hub ended"
grep -rqF "$TOKEN" "$D" && fail "a token lies in the hub's directory"
finish
