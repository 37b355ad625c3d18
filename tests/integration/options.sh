# Options of exec: binds, working directory, home, contain, writable.
. "$(dirname "$0")/../support/lib.sh"

ok singularity build full.sif "oci:$IMAGES/full.oci"
chmod 755 full.sif
I=$PWD/full.sif

options() {
    me mkdir -p src/sub
    me sh -c 'echo one >src/one; echo two >src/sub/two'
    check "--bind brings directories and files, at the same or another place"
    run me singularity exec --bind "$PWD/src:/mnt/x" "$I" cat /mnt/x/one /mnt/x/sub/two
    expect_rc 0
    expect_equal "$OUT" $'one\ntwo'
    run me singularity exec -B "$PWD/src" "$I" cat "$PWD/src/one"
    expect_equal "$OUT" one
    run me singularity exec -B "$PWD/src/one:/etc/motd" "$I" cat /etc/motd
    expect_equal "$OUT" one
    run me singularity exec -B "$PWD/src/one:/opt/deep/er/file" "$I" cat /opt/deep/er/file
    expect_rc 0
    expect_equal "$OUT" one
    run me singularity exec -B "$PWD/src:/a,$PWD/src:/b" -B "$PWD/src:/c" "$I" cat /a/one /b/one /c/one
    expect_equal "$OUT" $'one\none\none'
    SINGULARITY_BIND="$PWD/src:/viaenv" run me singularity exec "$I" cat /viaenv/one
    expect_equal "$OUT" one
    check "ro binds cannot be written, rw ones can"
    run me singularity exec -B "$PWD/src:/mnt/x:ro" "$I" /bin/sh -c 'echo x >/mnt/x/new'
    [ "$RC" != 0 ] || fail "a read-only bind was written"
    run me singularity exec -B "$PWD/src:/mnt/x:rw" "$I" /bin/sh -c 'echo x >/mnt/x/new'
    expect_rc 0
    expect_exists src/new
    if knows exec --mount; then
        check "--mount is the long form"
        run me singularity exec --mount "type=bind,source=$PWD/src,target=/mnt/m,readonly" "$I" cat /mnt/m/one
        expect_rc 0
        expect_equal "$OUT" one
    fi
    check "a source that is not there is named"
    run me singularity exec -B "$PWD/nothing:/mnt" "$I" true
    expect_failure
    expect_err "$PWD/nothing"

    check "--pwd and --cwd choose the directory, the last one wins"
    run me singularity exec --pwd /etc "$I" pwd
    expect_equal "$OUT" /etc
    run me singularity exec --cwd /etc "$I" pwd
    expect_equal "$OUT" /etc
    run me singularity exec --pwd /etc --pwd /usr "$I" pwd
    expect_equal "$OUT" /usr
    run me singularity exec --pwd /no/such "$I" pwd
    expect_failure
    check "--no-home leaves the home out"
    me sh -c 'echo mine >"$HOME/secret-of-home"'
    run me singularity exec "$I" sh -c 'cat $HOME/secret-of-home'
    expect_equal "$OUT" mine
    run me singularity exec --no-home --pwd / "$I" sh -c 'cat $HOME/secret-of-home'
    [ "$RC" != 0 ] || fail "the home is there in spite of --no-home"
    if knows exec --home; then
        check "--home puts another directory there"
        run me singularity exec --home "$PWD/src:/home/me" "$I" sh -c 'echo $HOME; cat $HOME/one'
        expect_rc 0
        expect_equal "$OUT" $'/home/me\none'
    fi
    check "--contain keeps home, tmp and the host's devices out"
    me touch "$T/tmp/of-the-host-$WHO"
    run me singularity exec --contain "$I" sh -c "ls /tmp /var/tmp; ls \$HOME; ls /dev"
    expect_rc 0
    refuse_out of-the-host
    refuse_out secret-of-home
    refuse_out '^(kmsg|sda|loop0)$'
    expect_out '^null$'
    run me singularity exec --contain "$I" sh -c 'echo x >/tmp/x && echo y >$HOME/y && cat /tmp/x $HOME/y'
    expect_equal "$OUT" $'x\ny'
    rm -f "$T/tmp/of-the-host-$WHO"
    if knows exec --containall; then
        check "--containall has its own processes"
        run me singularity exec --containall "$I" sh -c 'ls -d /proc/[0-9]* | wc -l'
        expect_rc 0
        [ "$OUT" -lt 12 ] || fail "$OUT processes are seen"
    fi
    if knows exec --pid; then
        check "--pid starts with an init"
        run me singularity exec --pid "$I" sh -c 'cat /proc/1/comm'
        expect_rc 0
        expect_out '^(appinit|sinit)$'
    fi
    check "--writable needs an image that can be written"
    run me singularity exec --writable "$I" true
    expect_failure
    check "short options and = work"
    run me singularity exec -e -c --no-home "--pwd=/etc" "$I" pwd
    expect_rc 0
    expect_equal "$OUT" /etc
    check "an unknown option with a value is what is named, not the word that is then one too many"
    run me singularity build --compres zstd out.sif "$IMAGES/tiny.oci"
    expect_rc 1
    expect_err "unknown option --compres"
    expect_err "Did you mean '--compress'"
    check "an unknown option is a usage error that names it"
    run me singularity exec --no-such-option "$I" true
    expect_rc 1
    expect_err 'no-such-option'
    check "--dry-run prints the LaunchSpec, as JSON or for people, with the file, option or variable of each setting"
    SINGULARITY_DNS=192.0.2.1 SINGULARITY_BIND="$PWD/src:/viaenv" APPTAINER_MOUNT_TMP=no run me singularity exec --dry-run --contain -B "$PWD/src:/x" "$I" true
    expect_rc 0
    python3 - "$T/out" <<'P' || fail "the origins"
import json, sys
d = json.load(open(sys.argv[1]))
o = d["origin"]
assert o["--contain"] == "command line" and o["--dns"] == "SINGULARITY_DNS", o
assert set(o["--bind"].split(", ")) == {"command line", "SINGULARITY_BIND"}, o
assert o["mount.tmp"] == "APPTAINER_MOUNT_TMP" and o["mount.proc"] == "built-in default", o
assert {m["destination"] for m in d["mounts"]} >= {"/x", "/viaenv", "/etc/resolv.conf"}
P
    run me singularity exec --dry-run --format text --contain -B "$PWD/src:/x:ro" --env A=b "$I" cat /x/one
    expect_rc 0
    expect_out "^image: +$I \\(squashfs at byte [0-9]+, "
    expect_out '^action: +exec cat /x/one$'
    expect_out "^  /x +bind +$PWD/src +.*ro +\\[userbinds\\]$"
    expect_out '^  A=b$'
    expect_out '^  --contain +command line$'
    run me singularity exec --dry-run --format yaml "$I" true
    expect_failure 1
    check "options after the image are the command's"
    run me singularity exec "$I" echo --pwd /x -B
    expect_equal "$OUT" "--pwd /x -B"
}
each_user options
expect_nothing_left
finish
