# Plugins that were built from the SDK of 4.0.0, kept as they are: every later host loads and uses them.
. "$(dirname "$0")/../support/lib.sh"
[ "$(uname -m)" = x86_64 ] || skip "the kept plugins are for x86_64"
own_prefix
ETC=$PREFIX/etc/singularity
ARCHIVE=$SG_SOURCE/sdk/abi/plugins-4.0.0-x86_64.tar.xz

check "they are the ones of that time"
expect_equal "$(sha256sum <"$ARCHIVE" | cut -d' ' -f1)" 1a14f33e6a9d87dca119ef018ef0023da6b08a28caf9485d2b92a7872e7c453d
mkdir kept
tar -xJf "$ARCHIVE" --no-same-owner -C kept
every=(blob-source dump-format hello-command mem-transport memory-source path-source veto-hook)
echo 'plugins:' >"$ETC/plugins.d/50-kept.yaml"
for name in "${every[@]}"; do echo "  - {manifest: $PWD/kept/$name/plugin.yaml, enabled: true}" >>"$ETC/plugins.d/50-kept.yaml"; done
configure() { printf '%s\n' "$@" >"$ETC/conf.d/50-kept.yaml"; }
mkdir -p "$ETC/conf.d"

check "each is loaded, and gives what its manifest promises"
for name in "${every[@]}"; do
    ok singularity plugin inspect "$name"
    expect_out '^state +active$'
    expect_out '^version +1\.0\.0$'
done

check "a source of layers in C: built, run, its error, its README"
ok singularity build m.sif memory://image
run singularity exec m.sif /bin/greeting you
expect_rc 0
expect_equal "$OUT" "hello from memory you"
ok singularity build --sandbox m.d memory:image
expect_equal "$(cat m.d/etc/motd)" "layer two"
expect_absent m.d/gone
expect_equal "$(cat m.d/box/new)" "layer three"
run singularity build f.sif memory://fail
expect_failure
expect_err 'memory://fail: this reference always fails'
expect_err 'ask for memory://image'
expect_absent f.sif
ok singularity help memory
expect_out 'memory://image'

check "cancel reaches it"
start "$T/slow" singularity build slow.sif memory://slow
until_says "$T/slow" "Copying blob"
kill -INT $PID
ended
[ $RC != 0 ] || fail "interrupting it gave 0"
expect_absent slow.sif

check "a blob source takes its bytes through a transport, both of that time"
configure "mem: {file: $T/w/m.sif}"
ok singularity build t.sif blob://mem:file
run singularity exec t.sif /bin/greeting transport
expect_equal "$OUT" "hello from memory transport"
run singularity build n.sif blob://mem:nothing
expect_failure
expect_err 404
expect_absent n.sif

check "and through a transport of today"
ok singularity build g.sif "blob://file:$T/w/m.sif"
run singularity exec g.sif /bin/greeting file
expect_equal "$OUT" "hello from memory file"

check "a path source is used in place"
run singularity exec "place://$T/w/m.sif" /bin/greeting place
expect_equal "$OUT" "hello from memory place"

check "a format is written and read"
ok singularity build --dump x.dump "oci:$IMAGES/full.oci"
expect_equal "$(head -c 7 x.dump)" SGDUMP1
ok singularity build from-dump.sif x.dump
ok singularity build direct.sif "oci:$IMAGES/full.oci"
for i in from-dump direct; do
    ok singularity build --sandbox $i.d $i.sif
    python3 "$SUPPORT/tree.py" --skip .singularity.d $i.d >$i.tree
done
diff from-dump.tree direct.tree >diff.txt || { fail "the dump lost something"; head diff.txt; }

check "a command has its verbs, options and exit code"
ok singularity hello --shout -g hi you
expect_equal "$OUT" "HI YOU"
run singularity hello --status 5
expect_rc 5
ok singularity hellos count a b c
expect_equal "$OUT" 3

check "a hook hears and forbids"
configure "veto: {word: forbidden, log: $T/w/events}"
cp m.sif forbidden.sif
run singularity exec forbidden.sif /bin/greeting
expect_failure
expect_err "this site does not allow 'forbidden'"
ok singularity exec m.sif /bin/greeting
grep -q '^before_run|' events || fail "before_run was not heard of"
finish
