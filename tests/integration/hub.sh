# The hub: accounts, library, who may do what, faults.
. "$(dirname "$0")/../support/lib.sh"

ok singularity build one.sif "oci:$IMAGES/tiny.oci"
D=$T/hub
hub() { python3 "$SUPPORT/hub_client.py" "$URL" "$@"; }
start() {
    rm -f "$T/serve.out" # what an earlier one said
    : >"$T/serve.out"
    singularity hub serve --data "$D" --listen 127.0.0.1:0 >"$T/serve.out" 2>"$T/serve.err" &
    HUB=$!
    for _ in $(seq 200); do
        URL=$(sed -n 's/^The hub listens on //p' "$T/serve.out")
        [ -n "$URL" ] && return
        kill -0 "$HUB" 2>/dev/null || break
        read -rt 0.05 <> <(:) || :
    done
    fail "the hub does not start: $(cat "$T/serve.err")"
}

check "a hub starts with nothing but an empty directory"
for u in alice mallory boss; do
    echo "password of $u" | singularity hub user add "$u" --data "$D" $([ $u = boss ] && echo --admin) || fail "user add $u"
done
run singularity hub user list --data "$D"
expect_out '^boss.admin$'
ALICE=$(singularity hub user token alice --data "$D")
MALLORY=$(singularity hub user token mallory --data "$D")
BOSS=$(singularity hub user token boss --data "$D")
READER=$(singularity hub user token alice --scopes read --data "$D")
start
expect_equal "$(hub status - GET /healthz)" 200
expect_equal "$(stat -c %a "$D")" 700

check "what was pushed comes back, whole and in ranges"
IMAGE=$(hub push "$ALICE" alice/default/one one.sif v1) || fail "push"
PRIVATE=$(hub push "$ALICE" alice/secret/one one.sif v1) || fail "private push"
SUM=$(sha256sum <one.sif | cut -d' ' -f1)
expect_equal "$(hub get - /v1/imagefile/alice/default/one:v1)" "200 $SUM"
expect_equal "$(hub get - "/v1/imagefile/alice/default/one:sha256.$SUM")" "200 $SUM"
expect_equal "$(hub get - /v1/imagefile/alice/default/one:v1 bytes=5-1004)" "206 $(tail -c +6 one.sif | head -c 1000 | sha256sum | cut -d' ' -f1)"
expect_equal "$(hub get - /v1/imagefile/alice/default/one:v1 bytes=99999999999- | cut -d' ' -f1)" 416
expect_equal "$(find "$D/blobs" -type f | wc -l)" 1

check "each route lets in whom it should"
while read -r method path none other reader owner admin; do
    expect_equal "$method $path $(hub status - "$method" "$path" '{}') $(hub status "$MALLORY" "$method" "$path" '{}') $(hub status "$READER" "$method" "$path" '{}') $(hub status "$ALICE" "$method" "$path" '{}') $(hub status "$BOSS" "$method" "$path" '{}')" \
        "$method $path $none $other $reader $owner $admin"
done <<END
GET /version 200 200 200 200 200
GET /metrics 200 200 200 200 200
GET /assets/config/config.prod.json 200 200 200 200 200
GET /v1/token-status 401 200 200 200 200
GET /v1/entities/alice 200 200 200 200 200
GET /v1/collections/alice/default 200 200 200 200 200
GET /v1/collections/alice/secret 404 404 200 200 200
GET /v1/containers/alice/secret/one 404 404 200 200 200
GET /v1/images/alice/secret/one:v1 404 404 200 200 200
GET /v1/imagefile/alice/secret/one:v1 404 404 200 200 200
GET /v1/imagefile/alice/default/one:v1 200 200 200 200 200
POST /v1/imagefile/$PRIVATE 401 404 403 409 409
POST /v1/imagefile/$IMAGE 401 403 403 409 409
POST /v2/imagefile/$IMAGE 401 403 403 400 400
PUT /v2/imagefile/$IMAGE/_complete 401 403 403 404 404
PUT /v2/imagefile/$PRIVATE/_multipart_abort 401 404 403 400 400
PUT /upload/forged.1.99999999999.00 403 403 403 403 403
DELETE /v1/images/alice/secret/one:nothing 401 404 403 404 404
DELETE /v1/images/alice/default/one:v1?arch=none 401 404 403 404 404
GET /api/tokens 401 200 200 200 200
GET /api/projects 401 200 200 200 200
GET /api/users 401 403 403 403 200
GET /api/admin 401 403 403 403 200
POST /api/users/nobody/disable 401 403 403 403 404
GET /v1/images/..%2f..%2fetc 400 400 400 400 400
GET /v1/images/alice/default/one%00:v1 400 400 400 400 400
GET /v1/entities/'%20OR%201=1 404 404 404 404 404
END
expect_equal "$(hub status - GET "/v1/search?value=one%22%20OR%20%2A")" 200
expect_equal "$(hub status - GET "/v1/search?value=o")" 400

check "a search finds what one may see"
python3 - "$URL" "$ALICE" <<'END' || fail "search"
import json, sys, urllib.request
def search(token):
    r = urllib.request.Request(sys.argv[1] + "/v1/search?value=alice", headers={"Authorization": "Bearer " + token} if token else {})
    return sorted(i["collectionName"] for i in json.load(urllib.request.urlopen(r))["data"]["image"])
assert search("") == ["default"], search("")
assert search(sys.argv[2]) == ["default", "secret"], search(sys.argv[2])
END

check "an upload that is cut off, has other bytes or is no image leaves nothing to see"
head -c 100000 one.sif >half.sif
expect_equal "$(hub cut "$ALICE" alice/default/cut one.sif)" 400
expect_equal "$(hub status - GET "/v1/images/alice/default/cut:sha256.$SUM")" 404
head -c 5000 /dev/zero >none.sif
run hub push "$ALICE" alice/default/none none.sif
[ "$RC" != 0 ] || fail "what is no image was taken"
expect_err 'no SIF image'
expect_equal "$(find "$D/uploads" -type f | wc -l)" 0

check "a key is kept for everybody, and found by its ids and its users"
printf 'Ann Test\nann@example.com\nfor the hub\nse cret\nse cret\n' | singularity key newpair --bit-length 2048 >/dev/null || fail "newpair"
singularity key export -a ann.asc >/dev/null 2>&1 || singularity key export --armor ann.asc >/dev/null || fail "export"
expect_equal "$(hub addkey - ann.asc | cut -d' ' -f1)" 401
expect_equal "$(hub addkey "$READER" ann.asc | cut -d' ' -f1)" 403
expect_equal "$(hub addkey "$ALICE" ann.asc)" "200 "
expect_equal "$(hub addkey "$MALLORY" ann.asc)" "200 "
run hub text - '/pks/lookup?op=index&options=mr&search=ann@example'
expect_out '^info:1:1$'
expect_out '^pub:[0-9A-F]{40}:1:2048:[0-9]+:[0-9]*:$'
expect_out '^uid:Ann%20Test%20%28for%20the%20hub%29%20%3Cann%40example.com%3E:[0-9]+::$'
PRINT=$(sed -n 's/^pub:\([0-9A-F]*\):.*/\1/p' <<<"$OUT")
for id in "$PRINT" "${PRINT:24}" "${PRINT:32}"; do
    run hub text - "/pks/lookup?op=get&search=0x$id"
    expect_out 'BEGIN PGP PUBLIC KEY BLOCK'
done
expect_equal "$(hub status - GET '/pks/lookup?op=get&search=0x0123456789ABCDEF')" 404
expect_equal "$(hub status - GET '/pks/lookup?op=stats&search=ann')" 501
expect_equal "$(hub status - GET '/pks/lookup?op=get&search=0xzz')" 400
expect_equal "$(hub status - GET "/pks/lookup?op=index&search='%20OR%201=1")" 404

check "a listing says what an image is for, and whose signature it has"
cp one.sif signed.sif
echo 'se cret' | singularity sign signed.sif >/dev/null || fail "sign"
hub push "$ALICE" alice/default/signed signed.sif v1 >/dev/null || fail "push of a signed image"
for name in one signed; do hub text - "/v1/images/alice/default/$name:v1" | jq -r '.data | "\(.arch) \(.signed) \(.fingerprints // [] | tostring)"' >$name.txt; done
expect_equal "$(cut -d' ' -f1,2 one.txt)" "amd64 false"
expect_equal "$(cut -d' ' -f1,2 signed.txt)" "amd64 true"
grep -q "$PRINT" signed.txt || fail "the signer is not named: $(cat signed.txt)"

check "what is no key, is cut off, or is secret is refused"
head -c 300 ann.asc >cut.asc
echo nothing >nothing.asc
for f in cut nothing; do expect_equal "$(hub addkey "$ALICE" $f.asc | cut -d' ' -f1)" 400; done
head -c 1100000 /dev/zero | tr '\0' a >long.asc
expect_equal "$(hub addkey "$ALICE" long.asc | cut -d' ' -f1)" 413
if command -v gpg >/dev/null; then
    export GNUPGHOME=$T/gnupg
    mkdir -m 700 "$GNUPGHOME"
    gpg --batch --quiet --passphrase '' --pinentry-mode loopback --quick-gen-key 'Bob <bob@example.com>' rsa2048 sign never 2>/dev/null || fail "gpg"
    BOB=$(gpg --batch --list-keys --with-colons bob@example.com | sed -n 's/^fpr:::::::::\([0-9A-F]*\):$/\1/p' | head -n 1)
    gpg --batch --armor --export "$BOB" >bob.asc
    gpg --batch --armor --passphrase '' --pinentry-mode loopback --export-secret-keys "$BOB" >secret.asc 2>/dev/null
    run hub addkey "$ALICE" secret.asc
    expect_out '^400 .*secret key'
    expect_equal "$(hub addkey "$ALICE" bob.asc)" "200 "
    check "a revocation is merged and stays when the old key comes again"
    sed 's/^:-----/-----/' "$GNUPGHOME/openpgp-revocs.d/$BOB.rev" | gpg --batch --quiet --import 2>/dev/null
    gpg --batch --armor --export "$BOB" >revoked.asc
    expect_equal "$(hub addkey "$ALICE" revoked.asc)" "200 "
    expect_equal "$(hub addkey "$ALICE" bob.asc)" "200 "
    run hub text - "/pks/lookup?op=index&options=mr&search=0x$BOB"
    expect_out "^pub:$BOB:1:2048:[0-9]+::r$"
    expect_out '^uid:Bob'
fi

check "a body that nobody reads is not taken for the next request"
expect_equal "$(hub twice "$ALICE" /v1/images/alice/default/one:nothing)" 200

check "connections that say nothing keep nobody waiting, and are closed"
ulimit -n 1024 2>/dev/null
expect_equal "$(hub idle 450)" "200 at once
closed"

check "what was acknowledged survives a kill"
{ kill -KILL "$HUB" && wait "$HUB"; } 2>/dev/null
start
expect_equal "$(hub get - /v1/imagefile/alice/default/one:v1)" "200 $SUM"

check "logs and database hold no token"
grep -rqF -e "$ALICE" -e "${ALICE:10:60}" "$D" && fail "a token lies in $D"

check "the hub ends when it is asked to"
kill -TERM "$HUB"
wait "$HUB"
run singularity hub check --data "$D"
expect_rc 0

check "a copy of the directory is a backup"
cp -a "$D" "$T/backup"
mv "$D" "$T/gone"
mv "$T/backup" "$D"
start
expect_equal "$(hub get "$ALICE" /v1/imagefile/alice/secret/one:v1)" "200 $SUM"
kill -TERM "$HUB"
wait "$HUB"

check "damage is found and named"
blob=$(find "$D/blobs" -type f -name "$SUM")
printf x | dd of="$blob" bs=1 seek=5000 conv=notrunc status=none
run singularity hub check --data "$D"
expect_rc 255
expect_err "the file of sha256.$SUM has other bytes"
rm "$blob"
run singularity hub check --data "$D"
expect_err "the file of sha256.$SUM is missing"
head -c 3000 /dev/urandom >"$D/hub.db"
rm -f "$D"/hub.db-*
run singularity hub check --data "$D"
expect_rc 255
expect_err 'hub.db. is damaged'

finish
