# The builder of a hub: the Build API, the log, contexts, who may do what, restarts.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/builder.sh"
need_builder

builder_image "$USER_HOME/builder.sif" || { fail "the builder image"; finish; }
settings=("executor: local" "image: $USER_HOME/builder.sif" "time: 120" "memory: 4000000000" "disk: 2000000000" "processes: 400")

check "a hub builds nothing as root, and nothing without a builder image"
mkdir -p "$HOME/.singularity"
printf 'hub:\n  builder: {executor: local, image: /etc/passwd}\n' >"$HOME/.singularity/config.yaml"
run singularity hub serve --data "$T/roots" --listen 127.0.0.1:0
expect_failure
expect_err 'must not run as root'
rm "$HOME/.singularity/config.yaml"
configure "executor: local" "image: /nowhere.sif"
run as_hub singularity hub serve --data "$D" --listen 127.0.0.1:0
expect_failure
expect_err "hub.builder.image: cannot read '/nowhere.sif'"
configure "executor: docker"
run as_hub singularity hub serve --data "$D" --listen 127.0.0.1:0
expect_failure
expect_err "hub.builder.executor: 'docker' is none of none, local and slurm"

configure "${settings[@]}"
for u in alice mallory; do add_user $u; done
add_user boss --admin
ALICE=$(token_of alice) MALLORY=$(token_of mallory) BOSS=$(token_of boss)
BUILDER=$(token_of alice --scopes build) READER=$(token_of alice --scopes read)
hub_start || finish
expect_equal "$(api - /assets/config/config.prod.json | jq -r .builderAPI.uri)" "$URL"

check "a definition with scripts becomes an image that is kept for its owner"
cat >good.def <<'DEF'
Bootstrap: scratch

%setup
    mkdir -p "$SINGULARITY_ROOTFS/bin" "$SINGULARITY_ROOTFS/etc"
    cp -a /lib* "$SINGULARITY_ROOTFS/"
    for p in sh ls chown cat; do cp /usr/bin/$p "$SINGULARITY_ROOTFS/bin/"; done

%post
    echo "a line of the log"
    echo built >/etc/built
    chown 5:6 /etc/built

%runscript
    cat /etc/built
DEF
submit "$BUILDER" good.def
GOOD=$BUILD
log_of "$BUILDER"
grep -q '^searching for available build agent' <<<"$LOG" || fail "the log has no beginning: $LOG"
grep -q 'a line of the log$' <<<"$LOG" || fail "the log lacks the script's line: $LOG"
grep -q '^closed 1000$' <<<"$LOG" || fail "the log does not end: $LOG"
expect_equal "$(api "$BUILDER" "/v1/build/$GOOD" | jq -r '.data | "\(.state) \(.isComplete) \(.libraryRef) \(.libraryURL) \(.createdBy)"')" \
    "succeeded true library://remote-builds/default/rb-$GOOD:latest $URL alice"
SUM=$(api "$BUILDER" "/v1/build/$GOOD" | jq -r '.data.imageChecksum | sub("sha256."; "")')
SIZE=$(api "$BUILDER" "/v1/build/$GOOD" | jq -r .data.imageSize)
expect_equal "$(hub get "$BUILDER" "/v1/imagefile/remote-builds/default/rb-$GOOD:latest?arch=amd64")" "200 $SUM"
expect_equal "$(hub get "$ALICE" "/api/builds/$GOOD/image")" "200 $SUM"
api "$ALICE" "/api/builds/$GOOD/image" -o got.sif
expect_equal "$(stat -c %s got.sif)" "$SIZE"
run singularity run got.sif
expect_out '^built$'
run singularity exec got.sif ls -ln /etc/built
expect_out ' 5 +6 '
run find "$D/builds" -mindepth 2 ! -name log
expect_equal "$OUT" "" "only the log is left"

check "a result goes where its owner may write, with all its tags"
submit "$ALICE" good.def library://alice/default/cow:v1,latest
log_of "$ALICE"
grep -q '^INFO:    Setting tag latest$' <<<"$LOG" || fail "no tag: $LOG"
expect_equal "$(api - /v1/images/alice/default/cow:v1 | jq -r .data.uploaded)" true
refused() { # TOKEN REF
    jq -n --rawfile d good.def --arg r "$2" '{definitionRaw: ($d | @base64), libraryRef: $r}' | api "$1" /v1/build --data-binary @- -o /dev/null -w '%{http_code}'
}
expect_equal "$(refused "$MALLORY" library://alice/default/cow:v1)" 403
expect_equal "$(refused "$BUILDER" library://alice/default/cow:v1)" 403
expect_equal "$(refused "$ALICE" library://../default/cow:v1)" 400
expect_equal "$(refused "$READER" "")" 403
expect_equal "$(refused "$ALICE" library://remote-builds/default/cow:v1)" 403

check "each route lets in whom it should"
while read -r method path none other reader owner admin; do
    expect_equal "$method $path $(hub status - "$method" "$path" '{}') $(hub status "$MALLORY" "$method" "$path" '{}') $(hub status "$READER" "$method" "$path" '{}') $(hub status "$BUILDER" "$method" "$path" '{}') $(hub status "$BOSS" "$method" "$path" '{}')" \
        "$method $path $none $other $reader $owner $admin"
done <<END
POST /v1/build 401 400 403 400 400
GET /v1/build/$GOOD 401 404 403 200 200
GET /v1/build/nothing 401 404 403 404 404
PUT /v1/build/$GOOD/_cancel 401 404 403 204 204
GET /v1/build-ws/$GOOD 401 404 403 426 426
GET /api/builds 401 200 403 200 200
GET /api/builds?all=1 401 403 403 403 200
GET /api/builds/$GOOD 401 404 403 200 200
GET /api/builds/$GOOD/log 401 404 403 200 200
GET /api/builds/$GOOD/image 401 404 403 200 200
POST /v1/build-context 401 400 403 400 400
DELETE /v1/build-context/sha256.0 401 404 403 404 404
PUT /upload-context/context.0.00 403 403 403 403 403
GET /v1/imagefile/remote-builds/default/rb-$GOOD:latest 404 404 200 200 200
END
expect_equal "$(api "$MALLORY" "/api/images" | grep -c rb-)" 0
expect_equal "$(api "$MALLORY" "/api/search?value=remote-builds" | jq -c .data.image)" "[]"

check "the object of old clients is made a definition again"
jq -n '{libraryRef: "", definition: {header: {bootstrap: "scratch"}, imageData: {metadata: null, labels: {Author: "somebody"}, imageScripts: {help: "", environment: "", runScript: "echo run", test: "", startScript: ""}},
    buildData: {files: [], buildScripts: {pre: "", setup: "echo old script", post: "", test: ""}}}}' >old.json
BUILD=$(api "$ALICE" /v1/build --data-binary @old.json | tee "$T/old" | jq -r .data.id)
expect_equal "$(jq -r .data.wsURL "$T/old")" "ws${URL#http}/v1/build-ws/$BUILD"
log_of "$ALICE"
grep -q 'old script$' <<<"$LOG" || fail "the script did not run: $LOG"
expect_equal "$(state "$ALICE")" succeeded
api "$ALICE" "/api/builds/$BUILD/image" -o old.sif
run singularity inspect old.sif
expect_out '"Author": "somebody"'

check "files come from the context, and only from the sender's own"
mkdir -p ctx/home/alice/project/data
echo "from the context" >ctx/home/alice/project/data/file
tar -C ctx -czf ctx.tgz home
DIGEST=sha256.$(sha256sum <ctx.tgz | cut -d' ' -f1)
context() { api "$1" /v1/build-context -d "{\"digest\":\"$DIGEST\",\"size\":$(stat -c %s ctx.tgz)}" -D - -o /dev/null | tr -d '\r' | sed -n 's/^Location: //Ip'; }
cat >files.def <<'DEF'
Bootstrap: scratch

%files
    data/file /data
    /home/alice/project/data/file /absolute
DEF
expect_equal "$(jq -n --rawfile d files.def --arg c "$DIGEST" '{definitionRaw: ($d | @base64), contextDigest: $c}' | api "$ALICE" /v1/build --data-binary @- -o /dev/null -w '%{http_code}')" 400
where=$(context "$ALICE")
head -c 20 ctx.tgz >short.tgz
head -c "$(stat -c %s ctx.tgz)" /dev/zero >wrong.tgz
for f in short wrong; do expect_equal "$(curl -sS -T $f.tgz -o /dev/null -w '%{http_code}' "$where")" 400; done
expect_equal "$(curl -sS -T ctx.tgz -o /dev/null -w '%{http_code}' "$where")" 200
expect_equal "$(curl -sS -T ctx.tgz -o /dev/null -w '%{http_code}' "$where")" 200 "the same bytes once more, as after a lost answer"
expect_equal "$(context "$ALICE")" "" "a second sending"
[ -n "$(context "$MALLORY")" ] || fail "another's context is taken for one's own"
submit "$ALICE" files.def "" "{\"contextDigest\": \"$DIGEST\", \"workingDir\": \"/home/alice/project\"}"
log_of "$ALICE"
expect_equal "$(state "$ALICE")" succeeded "the build with a context: $LOG"
api "$ALICE" "/api/builds/$BUILD/image" -o files.sif
ok singularity build --sandbox files files.sif
expect_equal "$(cat files/data files/absolute 2>&1 | sort -u)" "from the context"
remove_context() { api "$ALICE" "/v1/build-context/$DIGEST" -X DELETE -o /dev/null -w '%{http_code}'; }
expect_equal "$(remove_context)" 204
expect_equal "$(context "$ALICE")" "" "what another build of the same user still counts on"
expect_equal "$(remove_context) $(remove_context) $(remove_context)" "204 204 404"
expect_equal "$(find "$D/contexts" -type f | wc -l)" 0 "files of contexts that are left"

check "a build that is cancelled ends at once, with all that it started"
cat >slow.def <<'DEF'
Bootstrap: scratch

%setup
    echo it begins
    sleep 1000.5 &
    sleep 1000.5
DEF
until_log() { # TEXT
    local i
    for ((i = 0; i < 200; i++)); do
        api "$ALICE" "/api/builds/$BUILD/log" | grep -q "$1" && return
        sleep 0.1
    done
    fail "'$1' did not come into the log: $(api "$ALICE" "/api/builds/$BUILD/log")"
}
none_runs() {
    local i
    for ((i = 0; i < 50; i++)); do
        cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' | grep -q 'sleep 1000[.]5' || return 0
        sleep 0.1
    done
    fail "a process of the build is left"
}
submit "$ALICE" slow.def
until_log 'it begins$'
expect_equal "$(state "$ALICE")" running
expect_equal "$(api "$ALICE" "/v1/build/$BUILD/_cancel" -X PUT -o /dev/null -w '%{http_code}')" 204
log_of "$ALICE"
grep -q '^WARNING: The build was cancelled$' <<<"$LOG" || fail "the log says nothing of it: $LOG"
expect_equal "$(state "$ALICE")" cancelled
none_runs

check "any number of viewers has the whole log, those who come late too"
cat >talk.def <<'DEF'
Bootstrap: scratch

%setup
    i=0
    while [ $i -lt 2000 ]; do echo "line $i of a log with 中文"; i=$((i + 1)); done
    while [ $i -lt 2030 ]; do sleep 0.1; echo "line $i"; i=$((i + 1)); done
DEF
ulimit -n 2048 2>/dev/null
submit "$ALICE" talk.def
until_log '^line 1999'
run timeout 120 python3 "$SUPPORT/hub_client.py" "$URL" viewers "$ALICE" "$BUILD" 500
api "$ALICE" "/api/builds/$BUILD/log" >talk.log
expect_equal "$(tail -n 1 "$T/out")" "500 1 $(sha256sum <talk.log | cut -d' ' -f1)" "viewers, different logs, the log"
grep -q '^line 2029$' talk.log || fail "the log is cut off: $(tail -n 3 talk.log)"
expect_equal "$(api - /metrics | sed -n 's/^singularity_hub_busy_threads //p')" 1 "busy threads"

check "a log of many small pieces is whole"
cat >pieces.def <<'DEF'
Bootstrap: scratch

%setup
    set +x
    i=0
    while [ $i -lt 3000 ]; do env echo "piece $i"; i=$((i + 1)); done
DEF
submit "$ALICE" pieces.def
log_of "$ALICE"
expect_equal "$(grep -c '^piece' <<<"$LOG")" 3000

check "clients that break the rules of WebSockets are sent away"
submit "$ALICE" slow.def
expect_equal "$(hub frames "$ALICE" "$BUILD" 810548656c6c6f)" 1002
expect_equal "$(hub frames "$ALICE" "$BUILD" 81ff7fffffffffffffff00000000)" 1009
expect_equal "$(hub frames "$ALICE" "$BUILD" 88820000000003e8)" 1000
expect_equal "$(hub upgrade "$ALICE" "$BUILD" Sec-WebSocket-Version=8)" 426
expect_equal "$(hub upgrade "$ALICE" "$BUILD" Sec-WebSocket-Key=short)" 400
expect_equal "$(hub upgrade "$ALICE" "$BUILD" Upgrade=h2c)" 426
expect_equal "$(hub upgrade "$MALLORY" "$BUILD")" 404
expect_equal "$(hub upgrade - "$BUILD")" 401

check "a hub that is killed forgets no build: what ran has failed, what waited runs"
SLOW=$BUILD
until_log 'it begins$'
submit "$ALICE" slow.def
SECOND=$BUILD
until_log 'it begins$'
submit "$ALICE" good.def
THIRD=$BUILD
expect_equal "$(state "$ALICE")" queued "the third of two at a time"
hub_stop KILL
# It may be killed before it has told anybody of a build, or when one is done and not all of it is gone.
as_hub mkdir -p "$D/builds/0123456789abcdef01234567/build/tmp" "$D/builds/$GOOD/build/tmp" "$D/builds/others"
hub_start || finish
BUILD=$THIRD
log_of "$ALICE"
expect_equal "$(state "$ALICE")" succeeded
for ((i = 0; i < 200; i++)); do [ -z "$(find "$D/builds" -mindepth 2 ! -name log)" ] && break; sleep 0.1; done
expect_equal "$(find "$D/builds" -mindepth 2 ! -name log)" "" "what is left of builds that have ended"
expect_absent "$D/builds/0123456789abcdef01234567"
expect_exists "$D/builds/others"
expect_equal "$(hub status "$ALICE" GET "/api/builds/$GOOD/log")" 200 "the log of a build that is done"
for BUILD in $SLOW $SECOND; do expect_equal "$(api "$ALICE" "/v1/build/$BUILD" | jq -r '.data | "\(.state): \(.message)"')" "failed: the hub was ended while the build ran"; done
none_runs

check "a hub that ends takes its builds along"
submit "$ALICE" slow.def
until_log 'it begins$'
hub_stop
none_runs
grep -q 'failed: the hub was ended' "$D/builds/$BUILD/log" || fail "the log says nothing of it"
run as_hub singularity hub check --data "$D"
expect_rc 0

check "after its day a result is gone, with its file"
python3 - "$D/hub.db" "$GOOD" <<'END'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("UPDATE containers SET created = created - 90000 WHERE name = ?", ["rb-" + sys.argv[2]])
db.commit()
END
chown -R $USER_ID:$USER_ID "$D"
hub_start || finish
gone() { local i; for ((i = 0; i < 50; i++)); do [ "$(hub status "$ALICE" GET "/v1/imagefile/remote-builds/default/rb-$GOOD:latest")" = 404 ] && return; sleep 0.1; done; return 1; }
gone || fail "the result is still there"
expect_equal "$(hub status "$ALICE" GET "/api/builds/$GOOD/image")" 404
expect_equal "$(hub status "$ALICE" GET "/api/builds/$GOOD/log")" 200
hub_stop
finish
