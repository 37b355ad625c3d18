# A hub that is killed at random moments with builds under way, and disks that builds, or others, fill. SG_LONG=1: a
# hundred kills instead of four.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/builder.sh"
need_builder

builder_image "$USER_HOME/builder.sif" || { fail "the builder image"; finish; }
settings=("executor: local" "image: $USER_HOME/builder.sif" "time: 120" "memory: 4000000000" "disk: 2000000000" "processes: 400")
configure "${settings[@]}"
add_user alice
ALICE=$(token_of alice)

check "kills at random moments lose no build, and leave nothing of one"
rounds=4
[ -z "${SG_LONG:-}" ] || rounds=100
seed=${SEED:-$RANDOM}
note "seed $seed"
ok singularity build one.sif "oci:$IMAGES/tiny.oci"
LIMIT=$((300 + rounds * 60))
run python3 "$SUPPORT/hub_storm.py" "${HUB_WORDS[@]}" singularity hub serve -- "$D" one.sif $rounds "$seed" "$ALICE" "$D/builds" $USER_ID
expect_rc 0
expect_out '^all is well$'
note "$(head -n 1 "$T/out")"
LIMIT=60

until_log() { # TEXT
    local i
    for ((i = 0; i < 600; i++)); do
        api "$ALICE" "/api/builds/$BUILD/log" | grep -q "$1" && return
        sleep 0.1
    done
    fail "'$1' did not come into the log: $(api "$ALICE" "/api/builds/$BUILD/log")"
}
message() { api "$ALICE" "/v1/build/$BUILD" | jq -r '.data | "\(.state): \(.message)"'; }
small_disk() { # MEGABYTES DIRECTORY
    mkdir -p "$2"
    mount -t tmpfs -o "size=$1m,mode=700,uid=$USER_ID,gid=$USER_ID" small "$2"
}
fill() { head -c 2000000000 /dev/zero >"$1/others" 2>/dev/null; }
free() { df -k --output=avail "$1" | tail -n 1; }
cat >good.def <<'DEF'
Bootstrap: scratch

%setup
    mkdir -p "$SINGULARITY_ROOTFS/etc"
    echo built >"$SINGULARITY_ROOTFS/etc/built"
DEF
cat >waits.def <<'DEF'
Bootstrap: scratch

%setup
    echo it begins
    while [ ! -e /build/tmp/go ]; do sleep 0.1; done
DEF
cat >fills.def <<'DEF'
Bootstrap: scratch

%setup
    i=0
    while [ $i -lt 100 ]; do dd if=/dev/zero of=/opt/fill$i bs=1M count=10 2>/dev/null; i=$((i + 1)); sleep 0.05; done
    sleep 1000
DEF

S=$USER_HOME/small
check "a build that fills the builder's disk ends with a line that says so, and the room is given back"
small_disk 330 "$S"
configure "${settings[@]}" "directory: $S/builds"
hub_start || finish
FREE=$(free "$S")
submit "$ALICE" fills.def
log_of "$ALICE"
grep -q "^ERROR:   the build ended: the builder's disk is full$" <<<"$LOG" || fail "the log does not say it: $LOG"
expect_equal "$(state "$ALICE")" failed
[ "$(free "$S")" -gt $((FREE - 1000)) ] || fail "$(free "$S") KiB are free, and $FREE were"
submit "$ALICE" good.def
log_of "$ALICE"
expect_equal "$(state "$ALICE")" succeeded "the next one: $LOG"

check "a builder's disk that others fill to the last byte fails the build with its reason, and refuses new ones"
submit "$ALICE" waits.def
until_log 'it begins$'
fill "$S"
log_of "$ALICE"
grep -q "^ERROR:   The build failed: the builder's disk is full$" <<<"$LOG" || fail "the log does not say it: $LOG"
expect_equal "$(message)" "failed: the builder's disk is full"
fill "$S" # with what the build gave back
expect_equal "$(jq -n --rawfile d good.def '{definitionRaw: ($d | @base64)}' | api "$ALICE" /v1/build --data-binary @- -o refused -w '%{http_code}')" 507
grep -q "the hub's disk is full" refused || fail "no reason: $(cat refused)"
expect_equal "$(hub status - GET /healthz)" 200
rm "$S/others"
expect_equal "$(find "$S/builds" -mindepth 2 ! -name log)" "" "files that are left"
submit "$ALICE" good.def
log_of "$ALICE"
expect_equal "$(state "$ALICE")" succeeded "when there is room again: $LOG"
hub_stop
umount "$S"

check "a result for which the library has no room fails with that reason"
small_disk 60 "$S"
D=$S/hub
configure "${settings[@]}" "directory: $USER_HOME/elsewhere"
add_user alice
ALICE=$(token_of alice)
hub_start || finish
submit "$ALICE" good.def
log_of "$ALICE"
grep -q "^ERROR:   The build failed: the hub's disk has no room for the image$" <<<"$LOG" || fail "the log does not say it: $LOG"
expect_equal "$(message)" "failed: the hub's disk has no room for the image"

check "a database without room delays what builds report, and loses none of it"
submit "$ALICE" waits.def
until_log 'it begins$'
fill "$S"
touch "$USER_HOME/elsewhere/$BUILD/build/tmp/go"
for ((i = 0; i < 600; i++)); do grep -q 'the builder: cannot write to the database' "$T/hub.err" && break; sleep 0.1; done
grep -q 'the builder: cannot write to the database' "$T/hub.err" || fail "the hub does not say it: $(cat "$T/hub.err")"
expect_equal "$(hub status - GET /healthz)" 200
rm "$S/others"
log_of "$ALICE"
expect_equal "$(state "$ALICE")" failed
expect_equal "$(find "$USER_HOME/elsewhere" -mindepth 2 ! -name log)" "" "files that are left"
hub_stop
umount "$S"
finish
