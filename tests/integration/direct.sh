# run, exec and shell take a URI: converted once, kept in the cache, used from there the next time.
. "$(dirname "$0")/../support/lib.sh"

direct() {
    local uri cache
    cache=$(me sh -c 'echo $HOME')/.singularity/cache
    for uri in "oci:$IMAGES/plain.oci:latest" "oci-archive://$IMAGES/full.oci.tar" "docker-archive:$IMAGES/save-new.tar"; do
        check "exec of ${uri%%:*} converts, and then does not"
        run me singularity exec "$uri" cat /etc/motd
        expect_rc 0
        expect_equal "$OUT" "layer two"
        expect_err '^INFO:    (Converting OCI blobs to SIF format|Starting build|Creating SIF file)'
        run me singularity exec "$uri" cat /etc/motd
        expect_rc 0
        expect_equal "$OUT" "layer two"
        refuse_err '^(INFO|Copying)'
    done
    run me singularity run "oci:$IMAGES/plain.oci:latest" arg
    expect_equal "$OUT" "entry arg"
    check "the cache lies where the guide says"
    [ -n "$(me find "$cache" -name '*.sif' 2>/dev/null)" ] || fail "no SIF below $cache"
    expect_equal "$(me stat -c %a "$cache")" 700 "mode of the cache"
    check "SINGULARITY_CACHEDIR moves it"
    SINGULARITY_CACHEDIR=$PWD/elsewhere run me singularity exec "oci:$IMAGES/tiny.oci" true
    expect_rc 0
    [ -n "$(me find "$PWD/elsewhere" -name '*.sif' 2>/dev/null)" ] || fail "no SIF below $PWD/elsewhere"
    check "SINGULARITY_DISABLE_CACHE keeps nothing"
    SINGULARITY_CACHEDIR=$PWD/unused SINGULARITY_DISABLE_CACHE=1 run me singularity exec "oci:$IMAGES/tiny.oci" echo ran
    expect_rc 0
    expect_equal "$OUT" ran
    [ -z "$(me find "$PWD/unused" -type f 2>/dev/null)" ] || fail "the cache was used"
    check "a conversion that fails leaves nothing, and does not blame the cache"
    SINGULARITY_DISABLE_CACHE=1 run me singularity exec "oci:$IMAGES/bad-truncated.oci" true
    expect_rc 255
    [ -z "$(find "$TMPDIR" -mindepth 1)" ] || { fail "left in TMPDIR"; find "$TMPDIR"; }
    refuse_err 'nothing is cached'
    check "a damaged cached file is not run"
    local sif
    sif=$(me find "$PWD/elsewhere" -name '*.sif' | head -n 1)
    if [ -n "$sif" ]; then
        me sh -c "printf garbage | dd of='$sif' bs=1 seek=40000 conv=notrunc 2>/dev/null"
        SINGULARITY_CACHEDIR=$PWD/elsewhere run me singularity exec "oci:$IMAGES/tiny.oci" echo ran
        expect_rc 0
        expect_equal "$OUT" ran
    fi
}
each_user direct

check "two at once share the cache and both run"
for i in 1 2 3 4; do
    SINGULARITY_CACHEDIR=$T/shared singularity exec "oci:$IMAGES/full.oci" cat /etc/motd >out.$i 2>err.$i &
done
wait
for i in 1 2 3 4; do expect_equal "$(cat out.$i)" "layer two" "process $i: $(cat err.$i)"; done
[ -z "$(find "$T/shared" -name '*tmp*' -type f)" ] || { fail "temporaries in the cache"; find "$T/shared"; }
expect_nothing_left
finish
