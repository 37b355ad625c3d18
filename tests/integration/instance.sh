# Instances: containers that stay under a name, as root and as an ordinary user.
. "$(dirname "$0")/../support/lib.sh"

ok singularity build full.sif "oci:$IMAGES/full.oci"
# An image with a start script.
ok singularity build --sandbox service "oci:$IMAGES/full.oci"
cat >service/.singularity.d/startscript <<'END'
#!/bin/sh
echo "out of $SINGULARITY_INSTANCE: $SINGULARITY_COMMAND $*"
echo "err of $SINGULARITY_INSTANCE" >&2
[ "$1" != fail ] || exit 7
[ "$1" != exit ] || exit 0
if [ "$1" = background ]; then sleep 1000 & exit 0; fi
if [ "$1" = many ]; then for i in 1 2 3 4 5 6 7 8 9 10; do for j in 1 2 3 4 5 6 7 8 9 10; do sleep 1000 & done; done; wait; fi
trap 'echo got INT; exit 3' INT
echo ready
while :; do sleep 0.1; done
END
chmod 755 service/.singularity.d/startscript
ok singularity build service.sif service
chmod 755 ./*.sif
I=$PWD
HOST=$(uname -n)

name() { [ "$WHO" = user ] && echo $USER_NAME || echo root; }
home() { [ "$WHO" = user ] && echo "$USER_HOME" || echo "$HOME"; }
log() { echo "$(home)/.singularity/instances/logs/$HOST/$(name)/$1"; }
state() { echo "$(home)/.singularity/instances/sing/$HOST/$(name)/$1/$1.json"; }
pid_of() { sed -n 's/.*"pid":\([0-9]*\).*/\1/p' "$(state "$1")"; }
until_log() { local i; for ((i = 0; i < 200; i++)); do grep -qs "$2" "$(log "$1")" && return; sleep 0.1; done; fail "'$2' is not in $1"; }

life() {
    check "start says so, and the start script's output is in the logs"
    run me singularity instance start "$I/service.sif" web one two
    expect_rc 0
    expect_err '^INFO:    instance started successfully$'
    expect_equal "$OUT" "" "stdout"
    until_log web.out ready
    grep -q '^out of web: start one two$' "$(log web.out)" || fail "the log lacks the script's output"
    grep -q '^err of web$' "$(log web.err)" || fail "the error log lacks the script's output"

    check "list shows it, as a table and as JSON"
    run me singularity instance list
    expect_out '^INSTANCE NAME    PID +IP    IMAGE$'
    expect_out "^web +$(pid_of web) +$I/service.sif$"
    run me singularity instance list --json
    expect_rc 0
    expect_equal "$(python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); i=d["instances"]; print(len(i), i[0]["instance"], i[0]["pid"], i[0]["img"], repr(i[0]["ip"]), i[0]["logErrPath"], i[0]["logOutPath"])' "$T/out")" \
        "1 web $(pid_of web) $I/service.sif '' $(log web.err) $(log web.out)"
    run me singularity instance list --logs
    expect_out "$(log web.out)\$"
    run me singularity instance list 'x*'
    refuse_out web
    run me singularity instance list 'w*'
    expect_out '^web '

    check "its first process is an init of its own PID namespace, with a title"
    expect_equal "$(cat "/proc/$(pid_of web)/comm")" appinit
    expect_equal "$(tr '\0' ' ' <"/proc/$(pid_of web)/cmdline" | sed 's/ *$//')" "Singularity instance: $(name) [web]"
    run me singularity exec instance://web cat /proc/1/comm
    expect_equal "$OUT" appinit
    [ "$(readlink "/proc/$(pid_of web)/ns/pid")" != "$(readlink /proc/self/ns/pid)" ] || fail "no PID namespace"
    check "the state file has the members that other tools read"
    python3 - "$(state web)" "$(name)" <<'END' || fail "state"
import base64, json, os, stat, sys
d = json.load(open(sys.argv[1]))
want = {"pid", "ppid", "name", "user", "image", "config", "userns", "cgroup", "ip", "logErrPath", "logOutPath", "checkpoint", "sharensMode"}
assert want <= set(d), want - set(d)
assert d["name"] == "web" and d["user"] == sys.argv[2] and d["cgroup"] is False and d["userns"] is (sys.argv[2] != "root"), d
json.loads(base64.b64decode(d["config"]))
assert stat.S_IMODE(os.stat(sys.argv[1]).st_mode) == 0o644
assert stat.S_IMODE(os.stat(os.path.dirname(sys.argv[1])).st_mode) == 0o700
END

    check "exec, run, shell and test join it"
    run me singularity exec instance://web /bin/sh -c 'echo $SINGULARITY_INSTANCE $SINGULARITY_NAME $COLOUR $$'
    expect_rc 0
    expect_out '^web service.sif blue [0-9]+$'
    run me singularity exec instance://web ps
    expect_out 'startscript|sleep'
    run me singularity run instance://web a
    expect_rc 0
    expect_equal "$OUT" "entry a"
    OUT=$(echo 'echo from shell; exit 7' | me singularity shell instance://web 2>"$T/err")
    RC=$?
    expect_equal "$OUT" "from shell"
    expect_rc 7
    run me singularity exec instance://web id -u
    expect_equal "$OUT" "$(me id -u)"
    run me singularity exec instance://web /bin/sh -c 'kill -TERM $$'
    expect_rc 143
    run me singularity exec instance://web no-such-command
    expect_failure
    expect_err 'executable file not found in \$PATH'
    check "its files are those of the container, also those that it makes later"
    run me singularity exec instance://web /bin/sh -c "echo joined >$PWD/made; [ -e /opt ] && cat $PWD/made"
    expect_equal "$OUT" joined
    check "signals reach a joined program"
    start "$T/signal" me singularity exec instance://web /bin/sh -c 'trap "echo got; exit 5" TERM; echo ready; while :; do sleep 0.1; done'
    until_says "$T/signal" ready
    kill -TERM $PID
    ended
    expect_rc 5

    check "a name in use is refused, and the instance goes on"
    run me singularity instance start "$I/service.sif" web
    expect_failure
    expect_err 'instance web already exists'
    run me singularity exec instance://web true
    expect_rc 0

    check "stats adds up its processes"
    run me singularity instance stats --no-stream web
    expect_rc 0
    expect_out '^INSTANCE NAME +CPU USAGE +MEM USAGE / LIMIT +MEM % +BLOCK I/O +PIDS$'
    expect_out '^web +[0-9.]+% '
    run me singularity instance stats --json web
    python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); assert d["processes"] >= 2 and d["memoryBytes"] > 0, d' "$T/out" || fail "stats"

    check "stop sends SIGINT first, and nothing is left but the logs"
    local pid
    pid=$(pid_of web)
    run me singularity instance stop web
    expect_rc 0
    expect_err "^INFO:    Stopping web instance of $I/service.sif \(PID=$pid\)$"
    grep -q '^got INT$' "$(log web.out)" || fail "the script did not get SIGINT"
    expect_absent "$(dirname "$(state web)")"
    expect_exists "$(log web.out)"
    run me singularity instance list --json
    expect_equal "$(tr -d ' \n' <"$T/out")" '{"instances":[]}'
    run me singularity exec instance://web true
    expect_failure
    expect_err 'no instance found with the name web'
    run me singularity instance stop web
    expect_failure
    expect_err 'no instance found'
}
each_user life

kinds() {
    check "an image without a start script is a container to join"
    run me singularity instance start "$I/full.sif" idle
    expect_rc 0
    run me singularity exec instance://idle echo in
    expect_equal "$OUT" in
    run me singularity instance stop idle
    expect_rc 0

    check "instance run executes the run script"
    run me singularity instance run "$I/full.sif" once hello
    expect_rc 0
    until_log once.out '^entry hello$'
    run me singularity exec instance://once true
    expect_rc 0
    ok me singularity instance stop once

    check "what the script has left in the background goes on, until stop"
    ok me singularity instance start "$I/service.sif" back background
    until_log back.out background
    run me singularity exec instance://back ps
    expect_out 'sleep 1000'
    LIMIT=9 run me singularity instance stop back
    expect_rc 0
    check "an instance whose script fails ends and leaves no state"
    run me singularity instance start "$I/service.sif" bad fail
    until_log bad.err 'err of bad'
    local i
    for ((i = 0; i < 100; i++)); do me singularity instance list | grep -q '^bad ' || break; sleep 0.1; done
    run me singularity instance list
    refuse_out '^bad '
    expect_absent "$(dirname "$(state bad)")"

    check "a start that fails says why and leaves nothing"
    run me singularity instance start --bind /no/such/dir "$I/full.sif" no
    expect_failure
    expect_err '/no/such/dir'
    expect_absent "$(dirname "$(state no)")"
    run me singularity instance start --app none "$I/full.sif" no
    expect_failure
    expect_err 'environment scripts ended the start'
    grep -q 'Could not locate the container application: none' "$(log no.err)" || fail "the log lacks the reason"
    expect_absent "$(dirname "$(state no)")"
    run me singularity instance start "$I/full.sif" 'a/b'
    expect_failure 1
    run me singularity instance start "$I/full.sif" ..
    expect_failure 1
    run me singularity instance start "$I/full.sif"
    expect_failure 1
    run me singularity instance start /no/such.sif no
    expect_failure
    expect_absent "$(dirname "$(state no)")"

    check "--pid-file"
    ok me singularity instance start --pid-file pid "$I/full.sif" file
    expect_equal "$(cat pid)" "$(pid_of file)"
    check "dotted forms"
    run me singularity instance.list
    expect_out '^file '
    run me singularity instance.stop --all
    expect_rc 0

    check "--no-pid shares the host's processes, and stop ends all of them"
    ok me singularity instance start --no-pid "$I/service.sif" shared background
    until_log shared.out background
    expect_equal "$(readlink "/proc/$(pid_of shared)/ns/pid")" "$(readlink /proc/self/ns/pid)"
    run me singularity exec instance://shared true
    expect_rc 0
    ok me singularity instance stop shared
    ok me singularity instance start --no-pid "$I/service.sif" shared background
    ok me singularity instance stop -F shared
    check "--no-pid: stop -F ends all of a script that starts processes meanwhile"
    local i
    for i in 1 2 3; do
        ok me singularity instance start --no-pid "$I/service.sif" shared many
        ok me singularity instance stop -F shared
    done
    expect_nothing_left

    check "stop kills what does not hear"
    ok me singularity instance start "$I/service.sif" deaf
    until_log deaf.out ready
    run me singularity instance stop --signal CONT --timeout 0 deaf
    expect_rc 0
    expect_err 'Killing deaf instance .*Timeout'
    run me singularity instance stop --signal NOSUCH deaf
    expect_failure 1
    run me singularity instance stop
    expect_failure 1
}
each_user kinds

stale() {
    check "a killed instance is not listed, and its name is free"
    ok me singularity instance start "$I/full.sif" gone
    kill -KILL "$(pid_of gone)"
    local i
    for ((i = 0; i < 100; i++)); do me singularity instance list | grep -q '^gone ' || break; sleep 0.1; done
    run me singularity instance list
    refuse_out '^gone '
    ok me singularity instance start "$I/full.sif" gone
    check "another process with the same number is not the instance"
    local pid
    pid=$(pid_of gone)
    kill -KILL "$pid"
    # As if the kernel had given the number away: it is now that of a process that lives.
    sleep 1000 &
    local other=$!
    sed -i "s/\"pid\":$pid/\"pid\":$other/" "$(dirname "$(state gone)")"/*.json
    run me singularity instance list
    refuse_out '^gone '
    run me singularity exec instance://gone true
    expect_failure
    run me singularity instance stop --all
    kill -0 $other || fail "a stranger was killed"
    kill $other
    check "a damaged state file is no instance and does not stay"
    me mkdir -p "$(dirname "$(state broken)")"
    me sh -c "echo '{\"pid\":' >$(state broken)"
    run me singularity instance list
    expect_rc 0
    refuse_out broken
    expect_absent "$(dirname "$(state broken)")"
}
each_user stale

many() {
    check "50 at once, each with its name"
    local n names=''
    for n in $(seq 50); do me singularity instance start "$I/full.sif" "many$n" >"start.$n" 2>&1 & done
    wait
    run me singularity instance list
    for n in $(seq 50); do grep -q "^many$n " "$T/out" || { fail "many$n is not there"; cat "start.$n"; }; done
    check "the same name at once: one wins"
    for n in 1 2 3 4 5 6 7 8; do (me singularity instance start "$I/full.sif" same >"same.$n" 2>&1; echo $? >"rc.$n") & done
    wait
    expect_equal "$(cat rc.? | grep -c '^0$')" 1 "winners"
    run me singularity instance stop --all
    expect_rc 0
    run me singularity instance list --json
    expect_equal "$(tr -d ' \n' <"$T/out")" '{"instances":[]}'
}
each_user many

if [ "$(id -u)" = 0 ] && user_namespaces; then
    WHO=user
    check "root sees a user's instances by name of the user; others do not"
    run me singularity instance start "$I/full.sif" theirs
    expect_rc 0
    run singularity instance list -u $USER_NAME
    expect_out '^theirs '
    run singularity instance list
    refuse_out '^theirs '
    run me singularity instance list -u root
    expect_failure
    run singularity instance stop -u $USER_NAME theirs
    expect_rc 0
    WHO=root
fi
expect_nothing_left
finish
