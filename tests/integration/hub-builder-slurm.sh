# The builder of a hub by Slurm: Debian's own slurmctld, slurmd and munged on this machine.
export NPM_HOME=${NPM_HOME:-$HOME}
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/builder.sh"
. "$SUPPORT/pages.sh"
. "$SUPPORT/slurm.sh"
need_builder
need_slurm
slurm_start "TaskPlugin=task/none"

builder_image "$USER_HOME/builder.sif" || { fail "the builder image"; finish; }
HUB_WORDS+=("SLURM_CONF=$SLURM_CONF")
slurm=("executor: slurm" "image: $USER_HOME/builder.sif" "directory: $USER_HOME/shared-builds" "memory: 1000000000" "disk: 1000000000" "processes: 400" "cpus: 1")
configure "${slurm[@]}" "time: 120" "partition: build"
add_user alice
ALICE=$(token_of alice)
hub_start || finish
jobs_of_hub() { squeue --noheader --format='%j %T %u %P %m %l' | sort; }
until_log() { # TEXT
    local i
    for ((i = 0; i < 300; i++)); do
        api "$ALICE" "/api/builds/$BUILD/log" | grep -q "$1" && return
        sleep 0.1
    done
    fail "'$1' did not come into the log: $(api "$ALICE" "/api/builds/$BUILD/log") $(jobs_of_hub)"
}

until_state() { # STATE
    local i now
    for ((i = 0; i < 100; i++)); do
        now=$(state "$ALICE")
        [ "$now" != "$1" ] || return
        sleep 0.1
    done
    fail "the build is $now, not $1"
}

cat >good.def <<'DEF'
Bootstrap: scratch

%setup
    id -u
    mkdir -p "$SINGULARITY_ROOTFS/etc"
    echo built >"$SINGULARITY_ROOTFS/etc/built"
    chown 5:6 "$SINGULARITY_ROOTFS/etc/built"
    echo "done by Slurm"
DEF
cat >slow.def <<'DEF'
Bootstrap: scratch

%setup
    echo it begins
    while [ ! -e /build/tmp/never ]; do sleep 0.2; echo hostile-marker >/dev/null; done
DEF

check "a build is a job of the hub's user, with its limits, and its result is stored"
submit "$ALICE" slow.def
until_log 'it begins$'
expect_equal "$(jobs_of_hub)" "hub-$BUILD RUNNING $USER_NAME build 954M 3:00"
until_state running
SLOW=$BUILD
submit "$ALICE" good.def library://alice/default/slurm:v1
log_of "$ALICE"
grep -q 'done by Slurm$' <<<"$LOG" || fail "the log lacks the script's words: $LOG"
grep -q '^closed 1000$' <<<"$LOG" || fail "the log does not end"
expect_equal "$(state "$ALICE")" succeeded
api - /v1/imagefile/alice/default/slurm:v1 -o got.sif
ok singularity build --sandbox got got.sif
expect_equal "$(cat got/etc/built)" built
expect_equal "$(find "$USER_HOME/shared-builds/$BUILD" -mindepth 1 ! -name log)" "" "what is left"

check "what waits in Slurm's queue waits, and can be cancelled"
submit "$ALICE" slow.def
SECOND=$BUILD
until_log 'it begins$'
submit "$ALICE" slow.def
THIRD=$BUILD
for ((i = 0; i < 50; i++)); do squeue --noheader --name="hub-$THIRD" --format=%T | grep -q PENDING && break; sleep 0.1; done
expect_equal "$(state "$ALICE")" queued
api "$ALICE" "/v1/build/$THIRD/_cancel" -X PUT
log_of "$ALICE"
expect_equal "$(state "$ALICE")" cancelled
BUILD=$SECOND
api "$ALICE" "/v1/build/$SECOND/_cancel" -X PUT
log_of "$ALICE"
grep -q '^WARNING: The build was cancelled$' <<<"$LOG" || fail "the log says nothing of it: $LOG"
expect_equal "$(state "$ALICE")" cancelled

check "jobs go on while the hub is away, and what came of them is found"
BUILD=$SLOW
hub_stop KILL
touch "$USER_HOME/shared-builds/$SLOW/build/tmp/never"
for ((i = 0; i < 300; i++)); do [ -z "$(squeue --noheader --name="hub-$SLOW")" ] && break; sleep 0.1; done
hub_start || finish
log_of "$ALICE"
expect_equal "$(state "$ALICE")" succeeded "$LOG"
submit "$ALICE" slow.def
until_log 'it begins$'
hub_stop
expect_equal "$(jobs_of_hub | cut -d' ' -f1,2)" "hub-$BUILD RUNNING"
hub_start || finish
until_state running

check "a job that the hub was killed too early to write down is found, and not given to Slurm again"
hub_stop KILL
as_hub python3 - "$D/hub.db" "$BUILD" <<'P'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("UPDATE builds SET run = '', state = 'queued', started = 0 WHERE id = ?", [sys.argv[2]])
db.commit()
P
hub_start || finish
until_state running
expect_equal "$(jobs_of_hub | cut -d' ' -f1,2)" "hub-$BUILD RUNNING"

check "a job that Slurm ends has failed"
scancel --name="hub-$BUILD"
log_of "$ALICE"
expect_equal "$(api "$ALICE" "/v1/build/$BUILD" | jq -r '.data | "\(.state): \(.message)"')" "failed: Slurm ended the job: its time or memory was used up, or its machine failed"
expect_equal "$(ps -e -o args= | grep -c '[s]ingularity build /build/image.sif')" 0 "processes of builds that are left"

check "the page builds, shows the log while it grows, gives log and image, and cancels"
if can_try_pages; then
    add_user boss --admin
    export BUILDER=yes PASSWORD="correct horse battery"
    ONLY='asked to log in|administers|is built while|can be cancelled' try_pages "$URL"
else
    note "not tried: $WHY_NOT"
fi

check "what Slurm refuses has failed, with Slurm's reason"
hub_stop
configure "${slurm[@]}" "time: 120" "partition: nothing"
hub_start || finish
submit "$ALICE" good.def
log_of "$ALICE"
expect_equal "$(state "$ALICE")" failed
grep -q 'sbatch refused the build: .*invalid partition' <<<"$LOG" || fail "no reason: $LOG"
hub_stop

slurm_stop
finish
