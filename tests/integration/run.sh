# run, exec, shell: arguments, exit codes, signals, the three standard streams, and the environment.
. "$(dirname "$0")/../support/lib.sh"

ok singularity build full.sif "oci:$IMAGES/full.oci"
ok singularity build tiny.sif "oci:$IMAGES/tiny.oci"
ok singularity build cmd.sif "oci:$IMAGES/cmd.oci"
ok singularity build noshell.sif "oci:$IMAGES/noshell.oci"
chmod 755 ./*.sif
I=$PWD

commands() {
    check "run executes the entrypoint, with cmd or the arguments"
    run me singularity run "$I/full.sif"
    expect_rc 0
    expect_equal "$OUT" "entry cmd two words"
    run me singularity run "$I/full.sif" a 'b  c'
    expect_equal "$OUT" "entry a b  c"
    run me singularity run "$I/cmd.sif"
    expect_equal "$OUT" "only cmd"
    run me singularity run "$I/cmd.sif" echo instead
    expect_equal "$OUT" "instead"
    check "the file itself is a program"
    run me "$I/full.sif" x
    expect_rc 0
    expect_equal "$OUT" "entry x"
    run me run-singularity "$I/full.sif" x
    expect_equal "$OUT" "entry x"
    check "exec runs the given command, found on the container's PATH"
    run me singularity exec "$I/full.sif" say hello 'two  words' '$HOME' '*'
    expect_rc 0
    expect_equal "$OUT" 'say hello two  words $HOME *'
    run me singularity exec "$I/full.sif" /bin/echo -n --version
    expect_equal "$OUT" "--version"
    check "shell reads commands"
    OUT=$(echo 'echo from shell; exit 7' | me singularity shell "$I/full.sif" 2>"$T/err")
    RC=$?
    expect_equal "$OUT" "from shell"
    expect_rc 7
    check "an image without a shell runs"
    run me singularity exec "$I/noshell.sif" /bin/echo works
    expect_rc 0
    expect_equal "$OUT" works
    run me singularity exec "$I/noshell.sif" /bin/busybox env
    expect_out '^FROM=image$'
    run me singularity run "$I/noshell.sif"
    expect_equal "$OUT" "no shell"
    check "a script without an interpreter line runs"
    run me singularity exec "$I/full.sif" no-interpreter
    expect_rc 0
    expect_equal "$OUT" "without interpreter"

    check "the exit status is the command's"
    local n
    for n in 0 1 37 42 127 255; do
        run me singularity exec "$I/full.sif" status $n
        expect_rc $n
    done
    run me singularity run "$I/full.sif"
    expect_rc 0
    check "death by a signal is 128 + n"
    run me singularity exec "$I/full.sif" /bin/sh -c 'kill -TERM $$'
    expect_rc 143
    run me singularity exec "$I/full.sif" /bin/sh -c 'kill -KILL $$'
    expect_rc 137
    check "a command that is not there is named"
    run me singularity exec "$I/full.sif" no-such-command
    expect_failure
    expect_err 'FATAL:   "no-such-command": executable file not found in \$PATH'
    run me singularity exec "$I/full.sif" /no/such/path
    expect_failure
    run me singularity exec "$I/full.sif" 'echo one'
    expect_failure
    expect_err '"echo one": executable file not found in \$PATH'
    expect_err 'words of their own'
    run me singularity exec "$I/full.sif" --pid true
    expect_failure
    expect_err 'options stand in front of the image'
    check "why a file that is there does not run"
    run me singularity exec "$I/full.sif" /etc
    expect_failure
    expect_err 'cannot run /etc: Is a directory'
    me sh -c 'echo "echo ran" >script && chmod 644 script'
    run me singularity exec "$I/full.sif" ./script
    expect_failure
    expect_err 'cannot run ./script: Permission denied'
    expect_err "chmod \+x.*sh ./script"

    check "SIGTERM to ours ends the payload"
    start "$T/signal" me singularity exec "$I/full.sif" /bin/sh -c 'trap "echo got; exit 5" TERM; echo ready; while :; do sleep 0.1; done'
    until_says "$T/signal" ready
    kill -TERM $PID
    ended
    expect_rc 5
    grep -q got "$T/signal" || { fail "the payload did not get the signal"; cat "$T/signal"; }

    check "standard input and output pass as they are"
    printf 'a\0b\nno newline' >"$T/input"
    me singularity exec "$I/full.sif" /bin/cat <"$T/input" >"$T/output"
    expect_same_file "$T/input" "$T/output"
    run me singularity exec "$I/full.sif" /bin/sh -c 'echo out; echo err >&2'
    expect_equal "$OUT" out
    expect_equal "$ERR" err "stderr holds the program's alone"
    run me bash -c "exec <&- >&- ; singularity exec $I/full.sif /bin/true"
    expect_rc 0
    check "a closed reader ends it"
    me singularity exec "$I/full.sif" /bin/sh -c 'while echo y; do :; done' 2>/dev/null | head -n 1 >"$T/output"
    expect_equal "$(cat "$T/output")" y
}
each_user commands

environment() {
    check "the image's variables are set, with every odd character"
    run me singularity exec "$I/full.sif" /bin/sh -c 'echo "$COLOUR"; echo "$QUOTED"; echo "[$EMPTY]"; echo "$PATH"'
    expect_rc 0
    expect_equal "$OUT" "$(printf '%s\n' blue "a 'single' and \"double\" \$dollar \`tick\` \\back" '[]' '/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin')"
    check "host variables pass, but PATH, HOME and ours do not"
    MINE=yes LD_LIBRARY_PATH=/nowhere SINGULARITY_FOO=bar run me singularity exec "$I/full.sif" env
    expect_out '^MINE=yes$'
    # Root's home is /root inside, wherever it lies outside.
    if [ "$WHO" = root ]; then expect_out '^HOME=/root$'; else expect_out "^HOME=$USER_HOME$"; fi
    refuse_out '^SINGULARITY_FOO='
    refuse_out '^LD_LIBRARY_PATH=/nowhere$'
    expect_out "^SINGULARITY_CONTAINER=$I/full.sif$"
    expect_out '^SINGULARITY_NAME=full.sif$'
    expect_out '^SINGULARITY_COMMAND=exec$'
    check "--cleanenv keeps them out"
    MINE=yes TERM=xterm http_proxy=p run me singularity exec --cleanenv "$I/full.sif" env
    refuse_out '^MINE='
    expect_out '^TERM=xterm$'
    expect_out '^http_proxy=p$'
    expect_out '^COLOUR=blue$'
    check "--env and SINGULARITYENV_ beat the image, --env first"
    SINGULARITYENV_COLOUR=red run me singularity exec "$I/full.sif" /bin/sh -c 'echo $COLOUR'
    expect_equal "$OUT" red
    APPTAINERENV_COLOUR=white run me singularity exec "$I/full.sif" /bin/sh -c 'echo $COLOUR'
    expect_equal "$OUT" white
    SINGULARITYENV_COLOUR=red run me singularity exec --env COLOUR=green,OTHER=1 "$I/full.sif" /bin/sh -c 'echo $COLOUR $OTHER'
    expect_equal "$OUT" "green 1"
    check "a variable of the host that the image sets is the image's"
    COLOUR=host run me singularity exec "$I/full.sif" /bin/sh -c 'echo $COLOUR'
    [ "$OUT" = host ] || [ "$OUT" = blue ] || fail "COLOUR is $OUT"
    check "newlines in values survive, functions of bash do not"
    V=$'one\ntwo' run me singularity exec "$I/full.sif" /bin/sh -c 'echo "$V"'
    expect_equal "$OUT" $'one\ntwo'
    check "it starts with an empty environment"
    run me env -i "$(command -v singularity)" exec "$I/full.sif" /bin/echo fine
    expect_rc 0
    expect_equal "$OUT" fine
}
each_user environment

identity() {
    check "the user is the same inside, and knows his name"
    run me singularity exec "$I/full.sif" id -u
    expect_equal "$OUT" "$(me id -u)"
    run me singularity exec "$I/full.sif" id -un
    expect_equal "$OUT" "$(me id -un)"
    check "a SIF is read-only inside"
    run me singularity exec "$I/full.sif" /bin/sh -c 'echo x >/opt/x'
    [ "$RC" != 0 ] || fail "wrote into a read-only image"
    check "the current directory, home and tmp are the host's"
    run me singularity exec "$I/full.sif" pwd
    expect_equal "$OUT" "$PWD"
    echo seen >"$T/tmp/visible"
    run me singularity exec "$I/full.sif" cat "$T/tmp/visible"
    expect_equal "$OUT" seen
    rm -f "$T/tmp/visible"
    me touch "$PWD/here"
    run me singularity exec "$I/full.sif" ls here
    expect_equal "$OUT" here
    check "the container does not see the mounts that it is made of"
    run me singularity exec "$I/full.sif" cat /proc/self/mountinfo
    expect_rc 0
    refuse_out 'session/(root|final)'
    check "/proc, /sys and /dev are there"
    run me singularity exec "$I/full.sif" /bin/sh -c '[ -d /proc/self ] && [ -d /sys/kernel ] && [ -c /dev/null ] && echo x >/dev/null && echo ok'
    expect_equal "$OUT" ok
}
each_user identity

changing() {
    check "an image that is removed while it runs is read on; a new one of its name is the new one"
    mkdir -p -m 777 said
    cp "$I/full.sif" gone.sif
    cp "$I/noshell.sif" other.sif
    chmod 755 gone.sif other.sif
    start "$T/gone" me singularity exec -B "$PWD/said:/said" "$PWD/gone.sif" sh -c 'echo ready; until [ -e /said/go ]; do sleep 0.1; done; cat /bin/* /etc/* 2>/dev/null | wc -c; exit 7'
    until_says "$T/gone" ready
    mv other.sif gone.sif
    run me singularity exec "$PWD/gone.sif" sh -c true
    expect_failure
    expect_err 'executable file not found'
    rm gone.sif
    touch said/go
    ended
    expect_rc 7
    [ "$(tail -n 1 "$T/gone")" -gt 10000 ] || fail "it could not be read: $(cat "$T/gone")"
    rm -r said

    check "an image that is cut short while it runs fails what reads it, and nothing else"
    mkdir -p -m 777 said
    cp "$I/full.sif" cut.sif
    chmod 755 cut.sif
    start "$T/cut" me singularity exec -B "$PWD/said:/said" "$PWD/cut.sif" sh -c 'echo ready; until [ -e /said/go ]; do sleep 0.1; done; cat /bin/* /etc/* >/dev/null; exit 7'
    until_says "$T/cut" ready
    truncate -s 40000 cut.sif
    touch said/go
    ended # the shell itself may lack a page by now
    [ "$RC" = 7 ] || [ "$RC" -gt 128 ] || fail "status $RC: $(cat "$T/cut")"
    run me singularity exec "$PWD/cut.sif" true
    expect_failure
    expect_err "cut\\.sif"
    rm -r said cut.sif
}
each_user changing

tight() {
    check "with tight limits of the account it runs, or says what is missing"
    for limit in "-n 24" "-n 8" "-v 60000" "-s 256" "-l 0" "-c 0" "-t 20"; do
        run me bash -c "ulimit $limit && exec singularity exec '$I/full.sif' /bin/sh -c 'echo well; exit 7'"
        case $RC in
        7) expect_equal "$OUT" well "$limit" ;;
        *) expect_rc 255; expect_err '^FATAL:   ' ;;
        esac
    done
}
each_user tight
small_files() {
    check "a file that may not grow is told of, and leaves nothing"
    run me bash -o pipefail -c "(ulimit -f 0 && exec singularity exec '$I/full.sif' true) 2>&1 | cat >&2"
    expect_rc 255
    expect_err '^FATAL:   .*File too large'
    run me bash -o pipefail -c "cd \$HOME && (ulimit -f 8 && exec singularity build limited.sif '$I/full.sif') 2>&1 | cat >&2"
    expect_rc 255
    expect_err '^FATAL:   .*limited.sif.*File too large'
    run me bash -c "ls -A \$HOME | grep limited"
    expect_equal "$OUT" ""
    run me bash -o pipefail -c "(ulimit -f 8 && exec singularity exec 'oci:$IMAGES/full.oci' true) 2>&1 | cat >&2"
    expect_rc 255
    expect_err '^FATAL:   .*File too large'
    refuse_err 'is full'
    check "and its program has the usual answer to that"
    run me singularity exec "$I/full.sif" /bin/sh -c 'grep SigCgt /proc/self/status; ulimit -f 0; echo x >"$HOME/limited"'
    expect_rc 153
    rm -f "$(home_of)/limited"
}
home_of() { [ "$WHO" = user ] && echo "$USER_HOME" || echo "$HOME"; }
each_user small_files
expect_nothing_left
finish
