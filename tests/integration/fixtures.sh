# The out-of-tree plugins, built by GCC and by clang against the installed SDK alone: registered, used, and gone
# without a trace when their line is gone.
. "$(dirname "$0")/../support/lib.sh"
own_prefix
ETC=$PREFIX/etc/singularity
LINES=$ETC/plugins.d/50-fixtures.yaml

register() { # COMPILER NAME...: one line each
    local compiler=$1 name manifest
    shift
    echo 'plugins:' >"$LINES"
    for name in "$@"; do
        manifest=$(find "$SG_STAGE/plugins-$compiler" -path "*/$name/plugin.yaml" | head -n 1)
        [ -n "$manifest" ] || fail "no plugin $name of $compiler"
        echo "  - {manifest: $manifest, enabled: true}" >>"$LINES"
    done
}
configure() { printf '%s\n' "$@" >"$ETC/conf.d/50-fixtures.yaml"; }
unregister() { rm -f "$LINES" "$ETC/conf.d/50-fixtures.yaml"; }
mkdir -p "$ETC/conf.d"
every=(blob-source dump-format empty-source hello-command mem-transport memory-source path-source recipe-source veto-hook)
traces=(memory void: recipe blob:// place:// hello --dump veto)

compilers=(gcc)
[ ! -d "$SG_STAGE/plugins-clang" ] || compilers+=(clang)
singularity help >help.before 2>&1
singularity build --help >build.before 2>&1
singularity plugin list >list.before 2>&1

for compiler in "${compilers[@]}"; do
    register "$compiler" "${every[@]}"

    check "$compiler: the C source serves three layers, and the image runs"
    rm -f ./*.sif
    ok singularity build m.sif memory://image
    expect_err '^Copying blob sha256:'
    run singularity exec m.sif /bin/greeting you
    expect_rc 0
    expect_equal "$OUT" "hello from memory you"
    run singularity exec m.sif /bin/greeting2
    expect_equal "$OUT" "hello from memory"
    STATUS=9 run singularity exec m.sif /hello
    expect_rc 9
    run singularity exec memory:image /bin/greeting direct
    expect_equal "$OUT" "hello from memory direct"
    ok singularity build --sandbox m.d memory:image
    expect_equal "$(cat m.d/etc/motd)" "layer two"
    expect_absent m.d/gone
    expect_absent m.d/box/old
    expect_equal "$(cat m.d/box/new)" "layer three"
    expect_equal "$(stat -c %h m.d/bin/greeting)" 2 "links of the hard link"
    rm -rf m.d
    if user_namespaces; then
        as_user mkdir -p "$USER_HOME/$compiler"
        cd "$USER_HOME/$compiler" || exit 1
        run as_user singularity build u.sif memory://image
        expect_rc 0
        expect_same_file "$T/w/m.sif" u.sif
        if [ $FUSE_FOR_USERS = yes ]; then
            run as_user singularity exec u.sif /bin/greeting user
            expect_equal "$OUT" "hello from memory user"
        fi
        cd "$T/w" || exit 1
    fi
    check "$compiler: with the shell that its configuration names, the image has one"
    configure "memory: {shell: $(command -v busybox)}"
    ok singularity build --force s.sif memory://image
    run singularity run s.sif a b
    expect_rc 0
    expect_equal "$OUT" "hello from memory a b"
    run singularity exec s.sif /bin/sh -c 'echo $FROM'
    expect_equal "$OUT" memory
    unregister
    register "$compiler" "${every[@]}"
    check "$compiler: its failure comes with its hint"
    run singularity build f.sif memory://fail
    expect_failure
    expect_err 'memory://fail: this reference always fails'
    expect_err 'ask for memory://image'
    expect_absent f.sif
    check "$compiler: a layer that is not what its diff ID says is refused"
    run singularity build f.sif memory://liar
    expect_failure
    expect_absent f.sif
    check "$compiler: cancel reaches it"
    baseline
    start "$T/slow" singularity build slow.sif memory://slow
    until_says "$T/slow" "Copying blob"
    kill -INT $PID
    begun=$SECONDS
    ended
    [ $((SECONDS - begun)) -lt 20 ] || fail "it took $((SECONDS - begun)) s to end"
    [ $RC != 0 ] || fail "interrupting it gave 0"
    expect_absent slow.sif
    expect_nothing_left
    check "$compiler: a crash inside it ends with one line that names plugin and object"
    run singularity build f.sif memory://crash
    [ "$RC" != 0 ] || fail "it did not even fail"
    expect_err '(FATAL|ERROR): .*memory-source'
    expect_err 'memory-source\.so'
    expect_absent f.sif
    check "$compiler: its help page is its README"
    ok singularity help memory
    expect_out 'memory://image'

    check "$compiler: a blob source gives the image file as it is, by path or by transport"
    ok singularity build b.sif "blob://$T/w/m.sif"
    run singularity exec b.sif /bin/greeting blob
    expect_equal "$OUT" "hello from memory blob"
    configure "mem: {file: $T/w/m.sif}"
    ok singularity build t.sif blob://mem:file
    run singularity exec t.sif /bin/greeting transport
    expect_equal "$OUT" "hello from memory transport"
    run singularity build n.sif blob://mem:nothing
    expect_failure
    expect_err 404
    ok singularity build g.sif "blob://file:$T/w/m.sif"
    expect_absent n.sif

    check "$compiler: a path source is used in place"
    ok singularity build p.sif "place://m.sif"
    run singularity exec "place://$T/w/m.sif" /bin/greeting place
    expect_rc 0
    expect_equal "$OUT" "hello from memory place"

    check "$compiler: a recipe fills the root, with the option of its manifest"
    ok singularity build --help
    expect_out 'recipe-text'
    ok singularity build --sandbox --recipe-text 'from the option' r.d recipe://mine
    expect_equal "$(cat r.d/recipe)" "from the option"
    expect_equal "$(stat -c %a r.d/made)" 750
    rm -rf r.d
    SINGULARITY_RECIPE_TEXT='from the environment' run singularity build --sandbox r.d recipe://mine
    expect_rc 0
    expect_equal "$(cat r.d/recipe)" "from the environment"
    rm -rf r.d

    check "$compiler: an empty source gives an image of metadata alone"
    ok singularity build --sandbox v.d void:
    expect_exists v.d/.singularity.d/labels.json
    rm -rf v.d

    check "$compiler: a format of its own is written, read and converted"
    ok singularity build --dump x.dump "oci:$IMAGES/full.oci"
    expect_equal "$(head -c 7 x.dump)" SGDUMP1
    ok singularity build from-dump.sif x.dump
    ok singularity build direct.sif "oci:$IMAGES/full.oci"
    for i in from-dump direct; do ok singularity build --sandbox $i.d $i.sif; done
    rm -rf from-dump.d/.singularity.d direct.d/.singularity.d
    python3 "$SUPPORT/tree.py" from-dump.d >1.tree
    python3 "$SUPPORT/tree.py" direct.d >2.tree
    diff 1.tree 2.tree >diff.txt || { fail "the dump lost something"; head diff.txt; }
    rm -rf ./*.d
    if user_namespaces && [ $FUSE_FOR_USERS = yes ]; then
        chmod 644 x.dump
        run as_user singularity exec x.dump /bin/cat /etc/motd
        expect_rc 0
        expect_equal "$OUT" "layer two"
    fi
    ok singularity inspect --labels x.dump

    check "$compiler: a command with options and a verb below it"
    ok singularity hello
    expect_equal "$OUT" hello
    ok singularity hello --shout -g hi you
    expect_equal "$OUT" "HI YOU"
    SINGULARITY_HELLO_GREETING=moin run singularity hello
    expect_equal "$OUT" moin
    run singularity hello --status 5
    expect_rc 5
    ok singularity build --greet you --notest x.sif nothing.def
    expect_equal "$OUT" "no build, but greet=you notest=true [x.sif] [nothing.def]"
    expect_absent x.sif
    run singularity hellos build
    expect_rc 1
    ok singularity hellos --help
    refuse_out '^ *build '
    ok singularity build --help
    expect_out '[-][-]greet TEXT +Greet somebody'
    ok singularity hellos count a b c
    expect_equal "$OUT" 3
    # What a plugin keeps is found by its next process, and is nobody else's.
    run singularity cache clean -f
    for times in 1 2; do
        ok singularity hellos again
        expect_equal "$OUT" $times
    done
    SINGULARITY_DISABLE_CACHE=1 run singularity hellos again
    expect_equal "$OUT" 0
    run singularity cache clean -f
    ok singularity hellos again
    expect_equal "$OUT" 1
    run singularity hello nobody
    expect_failure
    expect_err 'name somebody'
    run singularity hello --no-such
    expect_rc 1
    ok singularity hello --help
    expect_out 'singularity hello --shout world'
    ok singularity help
    expect_out '^ *hello '

    check "$compiler: a hook hears of events, and its veto is the user's message"
    configure "veto: {word: forbidden, log: $T/w/events}"
    : >events
    cp m.sif forbidden.sif
    run singularity exec forbidden.sif /bin/greeting
    expect_failure
    expect_err "this site does not allow 'forbidden'"
    run singularity build forbidden2.sif "oci:$IMAGES/tiny.oci"
    run singularity build ok.sif ./forbidden.sif
    expect_failure
    expect_absent ok.sif
    ok singularity exec m.sif /bin/greeting
    grep -q '^before_run|' events || fail "before_run was not heard of"
    grep -q '^before_build|' events || fail "before_build was not heard of"
    unregister

    check "$compiler: after its line is gone no trace of it is left"
    singularity help >help.after 2>&1
    singularity build --help >build.after 2>&1
    singularity plugin list >list.after 2>&1
    for what in help build list; do
        diff $what.before $what.after >diff.txt || { fail "$what is not as before"; head diff.txt; }
    done
    for trace in "${traces[@]}"; do
        ! grep -qF -- "$trace" help.after build.after || fail "help still speaks of $trace"
    done
    run singularity build t2.sif memory://image
    expect_failure
    expect_err memory
    run singularity hello
    [ "$RC" != 0 ] || fail "the verb is still there"
    rm -f ./*.sif x.dump
done

check "plugins of both compilers live together in one process"
if [ ${#compilers[@]} = 2 ]; then
    register clang memory-source hello-command
    for name in dump-format blob-source; do
        echo "  - {manifest: $(find "$SG_STAGE/plugins-gcc" -path "*/$name/plugin.yaml"), enabled: true}" >>"$LINES"
    done
    ok singularity build --dump both.dump memory://image
    ok singularity build both.sif both.dump
    run singularity exec both.sif /bin/greeting both
    expect_equal "$OUT" "hello from memory both"
fi
finish
