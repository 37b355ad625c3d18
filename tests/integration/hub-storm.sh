# A hub that is killed at random moments, with uploads, downloads and the collection of garbage under way; full disks,
# locked and damaged databases. SG_LONG=1: a hundred kills instead of six.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/hub.sh"
need_tool curl jq
D=$T/hub
hub() { python3 "$SUPPORT/hub_client.py" "$URL" "$@"; }
ok singularity build one.sif "oci:$IMAGES/tiny.oci"
SUM=$(sha256sum <one.sif | cut -d' ' -f1)
hub_user alice "$D"

check "kills at random moments lose nothing that was acknowledged, and show nothing that is half"
rounds=6
[ -z "${SG_LONG:-}" ] || rounds=100
seed=${SEED:-$RANDOM}
note "seed $seed"
LIMIT=$((rounds * 30))
run python3 "$SUPPORT/hub_storm.py" singularity hub serve -- "$D" one.sif $rounds "$seed" "$TOKEN"
expect_rc 0
expect_out '^all is well$'
note "$(head -n 1 "$T/out")"
LIMIT=60

check "after them only what images have is kept"
start_hub "$D"
# An upload that was broken off has a day to go on; then it is garbage.
python3 - "$D/hub.db" <<'P'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("UPDATE uploads SET expires = 1")
db.commit()
P
run singularity hub gc --data "$D"
expect_rc 0
expect_equal "$(find "$D/uploads" -type f | wc -l)" 0 "uploads that are left"
expect_equal "$(find "$D/blobs" -type f | wc -l)" "$(python3 -c "import sqlite3; print(sqlite3.connect('$D/hub.db').execute('SELECT COUNT(DISTINCT hash) FROM images WHERE uploaded = 1').fetchone()[0])")" "blobs"

check "garbage is collected beside an upload of another process, which ends well"
python3 - "$URL" "$TOKEN" one.sif "$D" <<'P' || fail "an upload beside the collection"
import hashlib, http.client, json, socket, subprocess, sys, urllib.parse
base, token, file, data = urllib.parse.urlparse(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
body = open(file, "rb").read() + b"slow" * 1000
def ask(method, path, json_body):
    c = http.client.HTTPConnection(base.hostname, base.port)
    c.request(method, path, json.dumps(json_body), {"Authorization": "Bearer " + token})
    return json.loads(c.getresponse().read())["data"]
e = ask("POST", "/v1/entities", {"name": "alice"})["id"]
c = ask("POST", "/v1/collections", {"name": "default", "entity": e})["id"]
n = ask("POST", "/v1/containers", {"name": "slow", "collection": c})["id"]
i = ask("POST", "/v1/images", {"hash": "sha256." + hashlib.sha256(body).hexdigest(), "container": n})["id"]
s = socket.create_connection((base.hostname, base.port))
s.sendall(f"POST /v1/imagefile/{i} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n".encode())
for at in range(0, len(body), len(body) // 8 + 1):
    s.sendall(body[at : at + len(body) // 8 + 1])
    subprocess.run(["singularity", "hub", "gc", "--data", data], check=True, stdout=subprocess.DEVNULL)
answer = s.recv(4096)
assert b" 200 " in answer.split(b"\r\n")[0], answer
subprocess.run(["singularity", "hub", "gc", "--data", data], check=True, stdout=subprocess.DEVNULL)
P
expect_equal "$(hub status - GET "/v1/imagefile/alice/default/slow:sha256.$( (cat one.sif; for _ in $(seq 1000); do printf slow; done) | sha256sum | cut -d' ' -f1)")" 200

check "a database that another program locks is told of, and served again when it is free"
python3 - "$D/hub.db" "$T/locked" "$T/free" <<'P' &
import os, sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
open(sys.argv[2], "w").close()
while not os.path.exists(sys.argv[3]):
    time.sleep(0.05)
P
LOCKER=$!
for ((i = 0; i < 200; i++)); do [ -e "$T/locked" ] && break; sleep 0.05; done
expect_equal "$(hub status - GET /v1/images/alice/default/slow:none)" 404 "what only reads"
expect_equal "$(hub status "$TOKEN" POST /v1/entities '{"name":"alice"}')" 503 "what writes"
grep -q "hub.db' is locked by another program" "$T/serve.err" || fail "the hub's log does not say it: $(cat "$T/serve.err")"
singularity hub gc --data "$D" >"$T/gc.out" 2>&1 &
GC=$!
run singularity hub check --data "$D"
expect_failure
expect_err "the database '$D/hub.db' is locked by another program"
wait $GC
expect_equal "$?" 255 "the status of the collection"
grep -q "hub.db' is locked by another program" "$T/gc.out" || fail "it says: $(cat "$T/gc.out")"
touch "$T/free"
wait $LOCKER
expect_equal "$(hub status "$TOKEN" POST /v1/entities '{"name":"alice"}')" 201
stop_hub

check "a damaged page of the database is found and named"
python3 - "$D/hub.db" <<'P'
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
size = db.execute("PRAGMA page_size").fetchone()[0]
root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'images'").fetchone()[0]
db.close()
with open(sys.argv[1], "r+b") as f:
    f.seek((root - 1) * size)
    f.write(os.urandom(size))
P
run singularity hub check --data "$D"
expect_rc 255
expect_err "images|damaged|malformed"

check "a full disk refuses an upload, names itself, and leaves room and state as they were"
if [ "$(id -u)" != 0 ]; then
    note "not tried: only root can mount a small file system"
else
    mkdir "$T/small" && mount -t tmpfs -o size=200m,mode=700 small "$T/small"
    S=$T/small/hub
    hub_user alice "$S"
    start_hub "$S"
    hub push "$TOKEN" alice/default/one one.sif v1 >/dev/null || fail "push"
    IMAGE=$(hub text "$TOKEN" /v1/images/alice/default/one:v1 | jq -r .data.container)
    IMAGE=$(curl -sS -H "Authorization: Bearer $TOKEN" --data "{\"hash\":\"sha256.$(printf '%064d' 1)\",\"container\":\"$IMAGE\"}" "$URL/v1/images" | jq -r .data.id)
    for size in 200000000 9999999999999; do
        expect_equal "$(hub status "$TOKEN" POST "/v2/imagefile/$IMAGE/_multipart" "{\"filesize\":$size}")" 507 "an image of $size bytes"
        expect_equal "$(hub status "$TOKEN" POST "/v2/imagefile/$IMAGE" "{\"filesize\":$size}")" 507 "an image of $size bytes"
    done
    # What is free when it begins may be gone before it ends.
    python3 - "$URL" "$TOKEN" one.sif "$T/small" <<'P' || fail "an upload without room"
import hashlib, http.client, json, os, socket, sys, time, urllib.parse
base, token, small = urllib.parse.urlparse(sys.argv[1]), sys.argv[2], sys.argv[4]
body = open(sys.argv[3], "rb").read() + os.urandom(12 << 20)
def ask(method, path, payload):
    c = http.client.HTTPConnection(base.hostname, base.port)
    c.request(method, path, json.dumps(payload), {"Authorization": "Bearer " + token})
    return json.loads(c.getresponse().read())["data"]
e = ask("POST", "/v1/entities", {"name": "alice"})["id"]
c = ask("POST", "/v1/collections", {"name": "default", "entity": e})["id"]
n = ask("POST", "/v1/containers", {"name": "full", "collection": c})["id"]
i = ask("POST", "/v1/images", {"hash": "sha256." + hashlib.sha256(body).hexdigest(), "container": n})["id"]
s = socket.create_connection((base.hostname, base.port))
s.sendall(f"POST /v1/imagefile/{i} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[: 1 << 20])
uploads = small + "/hub/uploads"
while not any(os.path.getsize(uploads + "/" + f) >= 1 << 19 for f in os.listdir(uploads)):
    time.sleep(0.02)
with open(small + "/others", "wb", buffering=0) as f:
    try:
        while True:
            f.write(b"x" * (1 << 16))
    except OSError:
        pass
try:
    s.sendall(body[1 << 20 :])
except OSError:
    pass  # it has answered already
answer = s.recv(4096)
assert b" 507 " in answer.split(b"\r\n")[0], answer
P
    expect_equal "$(find "$S/uploads" -type f | wc -l)" 0 "uploads that are left"
    # The database has no room either, to the last byte.
    head -c 300000000 /dev/zero >"$T/small/rest" 2>/dev/null
    for ((i = 0; i < 100; i++)); do
        STATUS=$(hub status "$TOKEN" POST /api/tokens '{"name":"t","scopes":"read","days":1}')
        [ "$STATUS" = 201 ] || break
    done
    expect_equal "$STATUS" 507 "what a database without room answers"
    expect_equal "$(hub get - /v1/imagefile/alice/default/one:v1)" "200 $SUM"
    rm "$T/small/others" "$T/small/rest"
    expect_equal "$(hub status "$TOKEN" POST /api/tokens '{"name":"t","scopes":"read","days":1}')" 201 "when there is room again"
    stop_hub
    run singularity hub check --data "$S"
    expect_rc 0
    umount "$T/small"
fi
finish
