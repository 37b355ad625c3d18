# shellcheck shell=bash
# lib.sh: what every integration test stands on. A test sources it first:
#
#   . "$(dirname "$0")/../support/lib.sh"
#   check "a sentence that says what must hold"
#   run singularity version
#   expect_rc 0
#   finish
#
# As root a test runs in mount and PID namespaces of its own: whatever it leaves, even when it is killed, ends with
# it, and its leftovers can be told from everybody else's. It has its own HOME, cache, temporary directory and an
# ordinary user that exists only there, whose /dev/fuse is open to all.
#
# From the environment: SG_STAGE (prefix/, images/, fixtures-*/ made by stage.sh), SG_SOURCE (the repository).
set -uo pipefail
: "${SG_STAGE:?set by CTest}" "${SG_SOURCE:?set by CTest}"

TEST_NAME=$(basename "$0" .sh)
USER_ID=61234 USER_NAME=sgtester
SUPPORT=$SG_SOURCE/tests/support
IMAGES=$SG_STAGE/images

skip() { echo "SKIPPED: $*"; exit 77; }

# ---- The test's own world ----------------------------------------------------------------------

if [ "$(id -u)" = 0 ] && [ "${SG_ISOLATED:-}" != "$TEST_NAME" ]; then
    export SG_ISOLATED=$TEST_NAME
    mkdir -p "$SG_STAGE/work"
    # What an earlier run of this test left when it was killed: no mount and no process of it can be alive.
    rm -rf "$SG_STAGE/work/$TEST_NAME".*
    unshare --mount --pid --fork --kill-child=KILL --mount-proc --propagation private bash "$0" "$@"
    code=$?
    rm -rf "$SG_STAGE/work/$TEST_NAME".*
    exit $code
fi

mkdir -p "$SG_STAGE/work"
T=$(mktemp -d "$SG_STAGE/work/$TEST_NAME.XXXXXX")
chmod 755 "$T"
mkdir "$T/home" "$T/tmp" "$T/w"
chmod 1777 "$T/tmp"
chmod 1777 "$T/w"
for name in $(env | sed -n 's/^\(\(SINGULARITY\|APPTAINER\|SINGULARITYENV\|APPTAINERENV\)[A-Z0-9_a-z]*\)=.*/\1/p'); do
    case $name in SINGULARITY_TEST_DATA | APPTAINER | APPTAINER_DIR) ;; *) unset "$name" ;; esac
done
unset SOURCE_DATE_EPOCH XDG_RUNTIME_DIR XDG_CACHE_HOME
export SINGULARITY_MOUNT_LINGER=1 # servers that containers share end soon after the last one
USER_HOME=$T/home
export HOME=$T/home TMPDIR=$T/tmp LC_ALL=C NO_COLOR=1
PREFIX=$SG_STAGE/prefix
export PATH=$PREFIX/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd "$T/w" || exit 1

FUSE_FOR_USERS=no
if [ "$(id -u)" = 0 ]; then
    mkdir "$T/dev"
    if mount -t tmpfs -o mode=755 sgtest-dev "$T/dev" && mknod -m 666 "$T/dev/fuse" c 10 229 2>/dev/null &&
        [ -e /dev/fuse ] && mount --bind "$T/dev/fuse" /dev/fuse && (exec 3<>/dev/fuse) 2>/dev/null; then
        FUSE_FOR_USERS=yes
    fi
    # The homes lie outside of /tmp, which containers share with the host.
    HOMES=/srv
    case $SG_SOURCE$SG_STAGE in */srv/*) HOMES=/mnt ;; esac
    mkdir -p "$T/homes/$USER_NAME" "$T/homes/root" $HOMES
    chown $USER_ID:$USER_ID "$T/homes/$USER_NAME"
    mount --bind "$T/homes" $HOMES
    USER_HOME=$HOMES/$USER_NAME
    export HOME=$HOMES/root
    sed "s#^\\(root:.*\\):/root:#\\1:$HOME:#" /etc/passwd >"$T/passwd"
    echo "$USER_NAME:x:$USER_ID:$USER_ID:Test user:$USER_HOME:/bin/sh" >>"$T/passwd"
    cp /etc/group "$T/group" && echo "$USER_NAME:x:$USER_ID:" >>"$T/group"
    chmod 644 "$T/passwd" "$T/group"
    mount --bind "$T/passwd" /etc/passwd
    mount --bind "$T/group" /etc/group
else
    [ -w /dev/fuse ] && FUSE_FOR_USERS=yes
fi

# The words that run a command as the ordinary user; empty when the test itself is run by one.
USER_WORDS=()
[ "$(id -u)" != 0 ] || USER_WORDS=(setpriv --reuid $USER_ID --regid $USER_ID --clear-groups --inh-caps=-all
    --bounding-set=-all env "HOME=$USER_HOME" USER=$USER_NAME)
as_user() { "${USER_WORDS[@]}" "$@"; }
user_namespaces() { as_user unshare -U true 2>/dev/null; }

# knows VERB OPTION: is it an option of that verb? Some of Singularity's belong to later issues.
knows() { singularity "$1" --help 2>&1 | grep -qE -- "(^|[ ,])$2([ ,=]|$)" || { note "$1 has no $2"; return 1; }; }

need_root() { [ "$(id -u)" = 0 ] || skip "needs root"; }
need_tool() { local t; for t; do command -v "$t" >/dev/null || skip "needs $t"; done; }
need_data() {
    [ -n "${SINGULARITY_TEST_DATA:-}" ] && [ -d "$SINGULARITY_TEST_DATA" ] ||
        skip "SINGULARITY_TEST_DATA names no folder of other projects' artefacts"
}

# each_user FUNCTION: calls it as root and as the ordinary user, each in a directory of its own; inside,
# `me COMMAND` runs a command as that user and $WHO is root or user.
each_user() {
    if [ "$(id -u)" = 0 ]; then
        WHO=root
        mkdir -p "$T/w/$1.root" && cd "$T/w/$1.root" && "$1"
    fi
    WHO=user
    if ! user_namespaces; then
        note "no user namespaces here: not tried as an ordinary user"
    else
        mkdir -p "$T/w/$1.user" && cd "$T/w/$1.user" && { [ "$(id -u)" != 0 ] || chown $USER_ID:$USER_ID .; } && "$1"
    fi
    WHO=root
    cd "$T/w" || exit 1
}
WHO=root
me() { if [ "$WHO" = user ]; then as_user "$@"; else "$@"; fi; }

# ---- Checks --------------------------------------------------------------------------------------

FAILURES=0 CHECKS=0 CASE=start RC=0 OUT='' ERR=''
note() { echo "    note: $*"; }
check() { CASE=$*; CHECKS=$((CHECKS + 1)); echo "--- $*${WHO:+ [$WHO]}"; }
fail() {
    FAILURES=$((FAILURES + 1))
    echo "FAILED: $CASE [$WHO]: $*"
}

# run COMMAND...: RC, OUT and ERR of it (a program, or a function of the test). A first word `me` or `as_user` chooses who runs it. At most LIMIT seconds.
LIMIT=60
run() {
    local words=()
    COMMAND="$*"
    case $1 in
    me) shift; [ "$WHO" != user ] || words=("${USER_WORDS[@]}") ;;
    as_user) shift; words=("${USER_WORDS[@]}") ;;
    esac
    if [ "$(type -t "$1")" = function ]; then
        "$@" >"$T/out" 2>"$T/err" </dev/null
    else
        timeout -k 5 "$LIMIT" "${words[@]}" "$@" >"$T/out" 2>"$T/err" </dev/null
    fi
    RC=$?
    OUT=$(tr -d '\0' <"$T/out") ERR=$(tr -d '\0' <"$T/err")
    [ $RC != 124 ] || fail "took longer than $LIMIT s: $COMMAND"
}
told() {
    printf '    command: %s\n    status: %s\n' "$COMMAND" "$RC"
    head -c 3000 "$T/out" | sed 's/^/    out: /'
    head -c 3000 "$T/err" | sed 's/^/    err: /'
}
expect_rc() { [ "$RC" = "$1" ] || { fail "status $RC instead of $1"; told; }; }
expect_failure() { # a FATAL line and 255, or the status given
    [ "$RC" = "${1:-255}" ] || { fail "status $RC instead of ${1:-255}"; told; }
    grep -q '^FATAL:   ' "$T/err" || { fail "no line that begins with FATAL:"; told; }
}
expect_out() { grep -Eq -- "$1" "$T/out" || { fail "stdout lacks /$1/"; told; }; }
expect_err() { grep -Eq -- "$1" "$T/err" || { fail "stderr lacks /$1/"; told; }; }
refuse_out() { ! grep -Eq -- "$1" "$T/out" || { fail "stdout has /$1/"; told; }; }
refuse_err() { ! grep -Eq -- "$1" "$T/err" || { fail "stderr has /$1/"; told; }; }
expect_equal() { [ "$1" = "$2" ] || { fail "${3:-texts differ}"; printf '    got:  %s\n    want: %s\n' "$1" "$2"; }; }
expect_exists() { [ -e "$1" ] || [ -L "$1" ] || fail "there is no $1"; }
expect_absent() { [ ! -e "$1" ] && [ ! -L "$1" ] || fail "$1 is there"; }
expect_same_file() { cmp -s "$1" "$2" || { fail "$1 and $2 differ"; cmp "$1" "$2" | head -1; }; }

# start FILE COMMAND...: runs it in the background, as `run` does, with stdout and stderr in FILE; PID is the program's
# own, so that it can be sent signals.
start() {
    local file=$1 words=()
    shift
    COMMAND="$*"
    case $1 in
    me) shift; [ "$WHO" != user ] || words=("${USER_WORDS[@]}") ;;
    as_user) shift; words=("${USER_WORDS[@]}") ;;
    esac
    : >"$file" # now: what an earlier program said there must not be taken for this one's word
    # A shell without job control starts what is in the background with SIGINT and SIGQUIT ignored.
    env --default-signal=INT,QUIT "${words[@]}" "$@" >"$file" 2>&1 </dev/null &
    PID=$!
}
# until_says FILE TEXT: waits until it stands there; fails after 20 s.
until_says() {
    local i
    for ((i = 0; i < 200; i++)); do
        grep -q "$2" "$1" && return
        sleep 0.1
    done
    fail "'$2' did not come: $(head -c 500 "$1")"
    return 1
}
ended() { wait "$PID" 2>/dev/null; RC=$?; }

# ok COMMAND...: must end with 0.
ok() { run "$@"; expect_rc 0; }

# Where things stand, to be compared after something was killed or failed.
mounts() { cut -d ' ' -f 5 /proc/self/mountinfo | sort; }
# A loop device that holds one of our files; they are the machine's, so other tests' must be told apart.
loops() { losetup -l -n -O BACK-FILE 2>/dev/null | grep -F "$SG_STAGE/work/$TEST_NAME" | sort || true; }
processes() { # of this test's PID namespace, without its own shell and what makes this list
    [ "$(id -u)" = 0 ] || return 0
    local p name
    for p in /proc/[0-9]*; do
        [ "${p#/proc/}" != $$ ] && [ "${p#/proc/}" != "$BASHPID" ] || continue
        name=$({ tr '\0' ' ' <"$p/cmdline"; } 2>/dev/null) || continue
        [ -n "$name" ] || continue # a zombie, or gone
        case $name in *"$TEST_NAME.sh"* | "sort "* | "tr "*) continue ;; esac
        echo "$name"
    done | sort
}
temporaries() { find "$T/tmp" "$T/w" -name '*.tmp*' -o -name '.*.part' -o -name '.sg*' 2>/dev/null | sort; find "$T/tmp" -mindepth 1 2>/dev/null | sort; }
baseline() { MOUNTS=$(mounts) LOOPS=$(loops) PROCESSES=$(processes) TEMPORARIES=$(temporaries); }
# Nothing of ours is left since `baseline`. What ends on its own gets SETTLE seconds for it (kernel and detached
# servers need a moment after a kill).
expect_nothing_left() {
    local i what
    for ((i = 0; i < ${SETTLE:-10} * 10; i++)); do
        [ -n "$(added mounts "$MOUNTS")$(added loops "$LOOPS")$(added processes "$PROCESSES")" ] || break
        sleep 0.1
    done
    for what in mounts loops processes temporaries; do
        local name=${what^^} left
        left=$(added $what "${!name}")
        [ -z "$left" ] || { fail "$what were left"; sed 's/^/    left: /' <<<"$left"; }
    done
}
# What `$1` names now and $2 did not; what others on the machine took away does not count.
added() {
    local now
    now=$("$1")
    comm -13 <(sort <<<"$2") <(sort <<<"$now") | grep .
}

# A copy of the prefix that the test may change: sets PREFIX and PATH.
own_prefix() {
    cp -a "$SG_STAGE/prefix" "$T/prefix"
    PATH=$T/prefix/bin:${PATH#"$PREFIX/bin:"}
    PREFIX=$T/prefix
    export PATH
}

finish() {
    cd /
    if [ $FAILURES = 0 ]; then
        echo "$CHECKS checks passed"
        [ -n "${SG_KEEP:-}" ] || rm -rf "$T" 2>/dev/null
        exit 0
    fi
    echo "$FAILURES failures in $CHECKS checks"
    exit 1
}
baseline
