# Sandbox directories, and the way there and back.
. "$(dirname "$0")/../support/lib.sh"

round_trip() {
    check "an image becomes a directory, a SIF again, and the same directory again"
    run me singularity build --sandbox one "oci-archive:$IMAGES/full.oci.tar"
    expect_rc 0
    expect_err 'INFO:    Creating sandbox directory'
    expect_exists one/.singularity.d/runscript
    expect_exists one/lab/opaque/new
    expect_absent one/lab/gone
    for link in environment singularity .run .exec .test .shell; do [ -L one/$link ] || fail "no link one/$link"; done
    run me singularity build back.sif one
    expect_rc 0
    run me singularity build --sandbox again back.sif
    expect_rc 0
    # The Singularity file and labels tell where an image came from, so they differ.
    local skip=(--skip .singularity.d/Singularity --skip .singularity.d/labels.json --skip .singularity.d/bootstrap_history)
    # As root, so that every file can be read.
    python3 "$SUPPORT/tree.py" "${skip[@]}" one >one.tree 2>/dev/null || python3 "$SUPPORT/tree.py" "${skip[@]}" one >"$T/one.tree"
    [ -e one.tree ] && mv one.tree "$T/one.tree"
    python3 "$SUPPORT/tree.py" "${skip[@]}" again >"$T/again.tree"
    # The directory that metadata files stand in gets the time of the copy.
    diff "$T/one.tree" "$T/again.tree" >"$T/diff" || { fail "the two directories differ"; head -20 "$T/diff"; }

    check "a sandbox runs, and --writable changes it"
    run me singularity exec one /bin/cat /etc/motd
    expect_rc 0
    expect_equal "$OUT" "layer two"
    run me singularity exec one /bin/sh -c 'echo x >/opt/new'
    [ "$RC" != 0 ] || fail "a sandbox could be written to without --writable"
    run me singularity exec --writable --no-home --pwd / one /bin/sh -c 'echo written >/opt/new'
    expect_rc 0
    expect_equal "$(cat one/opt/new 2>/dev/null)" written
    check "--writable with a home that the sandbox has no place for"
    rm -rf "one${USER_HOME:?}" "one${HOME:?}"
    mkdir -p "one$(dirname "$USER_HOME")"
    run me singularity exec --writable --pwd / one /bin/sh -c 'echo written >/opt/newer && ls -d "$HOME" && touch "$HOME/from-inside"'
    expect_rc 0
    expect_equal "$ERR" ""
    expect_equal "$(cat one/opt/newer 2>/dev/null)" written
    if [ "$WHO" = user ]; then
        expect_exists "$USER_HOME/from-inside"
        expect_absent "one$USER_HOME"
    fi
    check "inspect works on a directory"
    run me singularity inspect --labels one
    expect_rc 0
    expect_out 'org.example.name'
}
each_user round_trip

check "a directory is replaced only when --force says so"
ok singularity build --sandbox s "oci:$IMAGES/tiny.oci"
touch s/marker
run singularity build --sandbox s "oci:$IMAGES/tiny.oci"
[ "$RC" != 0 ] || fail "an existing directory was overwritten without being asked"
expect_exists s/marker
ok singularity build --force --sandbox s "oci:$IMAGES/tiny.oci"
expect_absent s/marker
expect_exists s/bin/busybox

check "a directory that is no container is not taken for one"
mkdir plain
run singularity exec plain /bin/true
expect_failure

check "entries that climb stay inside the sandbox"
touch "$T/before"
ok singularity build --sandbox climb "oci:$IMAGES/climb.oci"
expect_exists climb/climbed
expect_exists climb/absolute
expect_exists climb/tmp/through-link
expect_absent /climbed
expect_absent /absolute
expect_absent /tmp/through-link
expect_absent "$T/climbed"
expect_nothing_left
finish
