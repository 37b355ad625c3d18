# What docs/admin/hub.md tells an administrator, done: nginx before a hub, a backup and its restoration, the unit, metrics
# and the log.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/hub.sh"
. "$SUPPORT/hub_nginx.sh"
need_tool nginx openssl curl jq
D=$T/data
hub() { python3 "$SUPPORT/hub_client.py" "$URL" "$@"; }
mkdir "$T/certs" && bash "$SUPPORT/certificates.sh" "$T/certs"
export SSL_CERT_FILE=$T/certs/ca.crt CURL_CA_BUNDLE=$T/certs/ca.crt
ok singularity build one.sif "oci:$IMAGES/tiny.oci"
cp one.sif large.sif && truncate -s 40000000 large.sif
hub_user alice "$D"
PROXY=$(free_port)
start_hub "$D" --behind-proxy --url "https://localhost:$PROXY"
DIRECT=$URL
nginx_before "$PORT" "$PROXY" "$T/certs"
URL=https://localhost:$PROXY

check "through nginx everything is as without it"
expect_equal "$(hub text - /assets/config/config.prod.json | jq -r .libraryAPI.uri)" "$URL"
singularity remote add --no-login site "localhost:$PROXY" 2>/dev/null || fail "remote add"
ok singularity remote use site
echo "$TOKEN" >token
ok singularity remote login --tokenfile token site
ok singularity push -U large.sif library://alice/default/large:v1
ok singularity pull got.sif library://alice/default/large:v1
expect_same_file got.sif large.sif
expect_equal "$(hub get - /v1/imagefile/alice/default/large:v1 bytes=5-1004)" "206 $(tail -c +6 large.sif | head -c 1000 | sha256sum | cut -d' ' -f1)"
curl -sS -H 'X-Forwarded-For: 10.9.8.7' -H 'X-Forwarded-Proto: http' "$URL/version?secret=word" >/dev/null
expect_equal "$(tail -n 1 "$D/access.json" | jq -r '"\(.client) \(.path) \(.status)"')" "127.0.0.1 /version 200" "what the log believes of the client"
curl -sS -D - -o /dev/null -H 'Content-Type: application/json' --data '{"user":"alice","password":"password of alice"}' "$URL/api/session" >session.txt
grep -qi '^set-cookie: .*; Secure' session.txt || fail "$(cat session.txt)"

check "metrics are what Prometheus reads, and no secret is in them or in the log"
curl -sS "$DIRECT/metrics" >metrics.txt
python3 - metrics.txt <<'P' || fail "metrics: $(cat metrics.txt)"
import re, sys
types, seen = {}, set()
for line in open(sys.argv[1]):
    if line.startswith("# TYPE "):
        _, _, name, kind = line.split()
        assert kind in ("counter", "gauge") and name not in types, line
        types[name] = kind
    else:
        found = re.fullmatch(r"([a-z_]+) (\d+)\n", line)
        assert found and found.group(1) in types, line
        seen.add(found.group(1))
assert seen == set(types) and "singularity_hub_requests_total" in seen, seen
P
COOKIE=$(sed -n 's/^[Ss]et-[Cc]ookie: hub_session=\([0-9a-f]*\).*/\1/p' session.txt)
[ -n "$COOKIE" ] || fail "no cookie"
for secret in "$TOKEN" "${TOKEN:10:60}" "$COOKIE" "secret=word" "password of alice"; do
    grep -rqF -e "$secret" "$D" metrics.txt "$T/serve.err" && fail "'$secret' lies in the hub's files"
done
jq -e '.time and .client and .method and .path and .status' "$D/access.json" >/dev/null || fail "the log is no JSON"
grep -q '"path":"/upload/{signed}"' "$D/access.json" || fail "the log lacks the upload"
grep -qE '"path":"/upload/[^{]' "$D/access.json" && fail "an address that lets people upload stands in the log"

check "the backup of the documentation is restored by the documentation's words"
systemctl() {
    case $1 in
    stop) stop_hub ;;
    start)
        LISTEN_PORT=$PORT start_hub "$D" --behind-proxy --url "https://localhost:$PROXY"
        URL=https://localhost:$PROXY
        ;;
    esac
}
told() { # HEADING: the commands below it, with this test's paths
    awk -v heading="$1" '$0 == heading { on = 1; next } on && /^    / { print substr($0, 5); seen = 1; next } on && seen { exit }' "$SG_SOURCE/docs/admin/hub.md" |
        sed "s#/srv/hub/data#$D#g; s#/backup/hub#$T/backup#g"
}
told "A backup:" >backup.sh
told "To restore it:" >restore.sh
[ -s backup.sh ] && [ -s restore.sh ] || fail "the documentation has no commands"
. ./backup.sh || fail "the backup"
hub push "$TOKEN" alice/default/later one.sif v1 >/dev/null || fail "push"
. ./restore.sh || fail "the restoration"
expect_equal "$(hub get - /v1/imagefile/alice/default/large:v1)" "200 $(sha256sum <large.sif | cut -d' ' -f1)"
expect_equal "$(hub status - GET /v1/images/alice/default/later:v1)" 404 "what came after the backup"
expect_equal "$(hub status "$TOKEN" GET /v1/token-status)" 200 "a token of before"
stop_hub
kill "$NGINX"

check "the unit of the packages is one that systemd understands"
if command -v systemd-analyze >/dev/null; then
    sed "s#^ExecStart=/usr#ExecStart=$PREFIX#" "$SG_SOURCE/packaging/singularity-hub.service" >"$T/singularity-hub.service"
    run systemd-analyze verify "$T/singularity-hub.service"
    refuse_err 'singularity-hub.service:[0-9]+:'
else
    note "not tried: there is no systemd-analyze"
fi
finish
