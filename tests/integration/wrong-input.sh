# Wrong input: a clear error, the right exit code, and nothing left.
. "$(dirname "$0")/../support/lib.sh"

# Kept layers would stand in for those that are broken below.
ok env SINGULARITY_DISABLE_CACHE=1 singularity build good.sif "oci:$IMAGES/full.oci"
baseline
refused() { # PATTERN COMMAND...: fails with 255, says why, makes no x.sif
    local pattern=$1
    shift
    rm -f x.sif
    run "$@"
    expect_failure
    expect_err "$pattern"
    refuse_err 'terminate called|Segmentation|Sanitizer|core dumped|std::'
    expect_absent x.sif
    expect_equal "$(grep -c '^FATAL' "$T/err")" 1 "number of FATAL lines"
}
layouts() {
    check "layouts that are wrong are refused"
    refused 'sha256:|digest' me singularity build x.sif "oci:$IMAGES/bad-digest.oci"
    refused 'sha256:|digest|truncated|size' me singularity build x.sif "oci:$IMAGES/bad-truncated.oci"
    refused 'sha256:' me singularity build x.sif "oci:$IMAGES/bad-missing.oci"
    refused 'diff' me singularity build x.sif "oci:$IMAGES/bad-diffid.oci"
    refused 'diff|layers' me singularity build x.sif "oci:$IMAGES/bad-count.oci"
    refused 'manifest' me singularity build x.sif "oci:$IMAGES/bad-both.oci"
    refused 'index\.json' me singularity build x.sif "oci:$IMAGES/bad-json.oci"
    refused '.' me singularity build x.sif "oci:$IMAGES/bad-empty.oci"
    refused 'hard ?link|link' me singularity build x.sif "oci:$IMAGES/bad-hard-to-dir.oci"
    refused 'not/there' me singularity build x.sif "oci:$IMAGES/bad-hard-missing.oci"
    refused '\.wh\.' me singularity build x.sif "oci:$IMAGES/bad-wh-alone.oci"
    refused 'limit|truncated|ends' me singularity build x.sif "oci:$IMAGES/bad-huge.oci"
    check "two images and no reference: the guide's words"
    refused '^FATAL:   While performing build: conveyor failed to get: more than one image in oci, choose an image' me singularity build x.sif "oci:$IMAGES/two.oci"
    refused 'more than one image in oci, choose an image' me singularity build x.sif "oci-archive:$IMAGES/two.oci.tar"
    refused 'expected 1 item, got 2|more than one image' me singularity build x.sif "docker-archive:$IMAGES/save-two.tar"
    check "a reference that is not there is named"
    refused 'no descriptor found for reference "none"' me singularity build x.sif "oci:$IMAGES/two.oci:none"
    refused 'none' me singularity build x.sif "docker-archive:$IMAGES/save-two.tar:none"
    refused '@9' me singularity build x.sif "oci:$IMAGES/two.oci:@9"
    check "an architecture that is unknown, or that the image is not for"
    run me singularity build --arch z80 x.sif "oci:$IMAGES/tiny.oci"
    [ "$RC" = 1 ] || expect_failure
    expect_err z80
    expect_absent x.sif
    refused 's390x' me singularity build --arch s390x x.sif "oci:$IMAGES/index.oci"
    check "files and directories that are not there, or not what is due"
    refused 'no-such' me singularity build x.sif oci:no-such
    refused 'no-such' me singularity build x.sif docker-archive:no-such.tar
    refused 'no-such' me singularity build x.sif no-such.sif
    refused 'tiny\.oci' me singularity build x.sif "docker-archive:$IMAGES/tiny.oci"
    refused 'tiny\.oci\.tar' me singularity build x.sif "oci:$IMAGES/tiny.oci.tar"
    refused '.' me singularity build x.sif "docker-archive:$IMAGES/tiny.oci.tar"
    refused 'manifest\.json' me singularity build x.sif "docker-archive:$IMAGES/save-no-manifest.tar"
    check "an unknown scheme, or a source that is not one"
    refused 'dcoker-archive|docker-archive' me singularity build x.sif dcoker-archive:x.tar
    check "an archive without its scheme is told how it is named"
    refused 'save-new\.tar is neither an image nor a definition' me singularity build x.sif "$IMAGES/save-new.tar"
    expect_err 'SCHEME:.*save-new\.tar'
    run me singularity exec "$IMAGES/save-new.tar" true
    expect_failure
    expect_err 'SCHEME:.*save-new\.tar'
    check "a bare name is told how images of other places are named, a file that is not there is not"
    run me singularity exec some-name true
    expect_failure
    expect_err 'SCHEME://some-name'
    run me singularity exec nofile.sif true
    expect_failure
    expect_err 'cannot open nofile\.sif: No such file'
    refuse_err SCHEME
    run me singularity exec instance:web true
    expect_failure
    expect_err 'instance://NAME'
    check "source and target in the wrong order, and names that are empty"
    run me singularity build "oci:$IMAGES/tiny.oci" x.sif
    expect_rc 1
    expect_err 'The target comes first'
    run me singularity build img:v1.sif "oci:$IMAGES/tiny.oci"
    expect_rc 0
    me rm -f img:v1.sif
    run me singularity build "" "oci:$IMAGES/tiny.oci"
    expect_rc 1
    expect_err 'the name of the target is empty'
    run me singularity exec "" true
    expect_rc 1
    expect_err 'the name of the image is empty'
    check "a target in a directory that is not there, or that is one"
    run me singularity build no/such/dir/x.sif "oci:$IMAGES/tiny.oci"
    expect_failure
    expect_err 'no/such/dir'
    me mkdir -p a-directory
    me touch a-directory/keep
    run me singularity build --force a-directory "oci:$IMAGES/tiny.oci"
    [ -e a-directory/keep ] || [ "$RC" = 0 ] || fail "a directory was destroyed by a build that failed"
}
each_user layouts

check "archives cut off anywhere are refused"
for size in 0 1 511 512 513 1024 4096 100000 1000000; do
    for a in save-new.tar full.oci.tar full.oci.tar.gz full.oci.tar.zst save-old.tar.xz save-new.tar.bz2; do
        head -c $size "$IMAGES/$a" >cut.tar
        case $a in *oci.tar*) s=oci-archive ;; *) s=docker-archive ;; esac
        run singularity build x.sif $s:cut.tar
        expect_failure
        expect_absent x.sif
        refuse_err 'terminate called|Segmentation|std::'
    done
done
check "archives with flipped bytes are refused, or give the same image"
singularity build --force same.sif "oci-archive:$IMAGES/tiny.oci.tar" 2>/dev/null
size=$(stat -c %s "$IMAGES/tiny.oci.tar")
for at in 0 100 300 600 1100 3000 20000 $((size / 2)) $((size - 11000)); do
    cp "$IMAGES/tiny.oci.tar" flipped.tar
    printf '\377' | dd of=flipped.tar bs=1 seek=$at conv=notrunc 2>/dev/null
    run singularity build x.sif oci-archive:flipped.tar
    if [ "$RC" = 0 ]; then
        singularity exec x.sif true || fail "byte $at: an image that does not run"
        rm -f x.sif
    else
        expect_failure
        refuse_err 'terminate called|Segmentation|std::'
    fi
    expect_absent x.sif
done
rm -f cut.tar flipped.tar

check "SIFs that are cut off or damaged are refused by every verb, and crash none"
size=$(stat -c %s good.sif)
for cut in 0 31 32 60 127 128 4096 32768 33000 $((size / 2)) $((size - 1)); do
    head -c $cut good.sif >cut.sif
    chmod 755 cut.sif
    for verb in "exec cut.sif true" "inspect cut.sif" "sif list cut.sif" "build x.sif cut.sif"; do
        # shellcheck disable=SC2086 # words
        run singularity $verb
        refuse_err 'terminate called|Segmentation|std::'
        [ "$RC" -lt 128 ] || [ "$RC" = 255 ] || fail "$verb with $cut bytes: status $RC"
        rm -f x.sif
    done
done
for at in 32 41 64 72 80 96 104 4096 4100 4112 4120 4680 32768 32800 32860; do
    cp good.sif bad.sif
    printf '\377\377\377\377' | dd of=bad.sif bs=1 seek=$at conv=notrunc 2>/dev/null
    for verb in "exec bad.sif true" "inspect bad.sif" "sif list bad.sif" "sif header bad.sif" "build x.sif bad.sif"; do
        # shellcheck disable=SC2086 # words
        run singularity $verb
        refuse_err 'terminate called|Segmentation|std::'
        [ "$RC" -lt 128 ] || [ "$RC" = 255 ] || fail "$verb with byte $at: status $RC"
        rm -f x.sif
    done
done
rm -f cut.sif bad.sif

check "no permission is said with what and why"
if [ "$(id -u)" = 0 ] && user_namespaces; then
    mkdir -m 755 closed
    cd closed || exit 1
    run as_user singularity build x.sif "oci:$IMAGES/tiny.oci"
    expect_failure
    expect_err '[Pp]ermission denied'
    cd ..
    cp good.sif unreadable.sif
    chmod 000 unreadable.sif
    run as_user singularity exec "$PWD/unreadable.sif" true
    expect_failure
    expect_err '[Pp]ermission denied'
    rm -rf unreadable.sif closed
fi

check "a full disk is said, and leaves nothing"
if [ "$(id -u)" = 0 ]; then
    mkdir small
    mount -t tmpfs -o size=1m tmpfs small
    run singularity build small/x.sif "oci:$IMAGES/full.oci"
    expect_failure
    expect_err 'cannot write .*small/x\.sif: No space left on device'
    expect_err 'Make room'
    expect_equal "$(find small -mindepth 1)" "" "files on the full disk"
    run singularity build --sandbox small/d "oci:$IMAGES/full.oci"
    expect_failure
    refuse_err 'needs about.*partial'
    expect_err '[Nn]o space left'
    expect_equal "$(find small -mindepth 1)" "" "files on the full disk"
    # A compressed archive is kept on the way.
    SINGULARITY_TMPDIR=$PWD/small run singularity build --disable-cache x.sif "oci-archive:$IMAGES/full.oci.tar.gz"
    expect_failure
    expect_err '[Nn]o space left'
    expect_err 'SINGULARITY_TMPDIR'
    expect_absent x.sif
    expect_equal "$(find small -mindepth 1)" "" "files on the full disk"
    # The cache is full: it runs all the same, or says so.
    SINGULARITY_CACHEDIR=$PWD/small run singularity exec "oci:$IMAGES/full.oci" true
    [ "$RC" = 0 ] || expect_err '[Nn]o space left'
    umount small
    rmdir small
fi

check "limits are limits"
own_prefix
mkdir -p "$PREFIX/etc/singularity/conf.d"
echo 'limits: {entries: 20}' >"$PREFIX/etc/singularity/conf.d/limits.yaml"
refused '20|limits\.entries' singularity build x.sif "oci:$IMAGES/full.oci"
echo 'limits: {file_size: 100000}' >"$PREFIX/etc/singularity/conf.d/limits.yaml"
refused 'limit' singularity build x.sif "oci:$IMAGES/full.oci"
rm "$PREFIX/etc/singularity/conf.d/limits.yaml"

check "wrong command lines are usage errors"
for words in "build" "build x.sif" "exec" "exec good.sif" "nonsense" "build --compress x.sif" "--no-such-flag version" "inspect" "pull"; do
    # shellcheck disable=SC2086 # words
    run singularity $words
    expect_rc 1
done
run singularity bulid x.sif y
expect_err build
expect_nothing_left
finish
