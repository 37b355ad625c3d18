# From each kind of image on disk to a SIF, by root and by an ordinary user.
. "$(dirname "$0")/../support/lib.sh"

is_sif() { [ "$(dd if="$1" bs=1 skip=32 count=9 2>/dev/null)" = SIF_MAGIC ] || fail "$1 is no SIF"; }
built() { # URI: builds x.sif from it and runs it
    rm -f x.sif
    run me singularity build x.sif "$1"
    expect_rc 0
    expect_err '^INFO:    (Build complete|Creating SIF file)'
    expect_equal "$OUT" "" "build writes nothing to stdout"
    [ -f x.sif ] || { fail "no x.sif from $1"; return; }
    is_sif x.sif
    [ -x x.sif ] || fail "x.sif is not executable"
    if [ "$WHO" = root ] || [ $FUSE_FOR_USERS = yes ]; then
        run me singularity exec x.sif /bin/cat /etc/motd
        expect_rc 0
        expect_equal "$OUT" "${2:-layer two}"
    fi
}

all_sources() {
    local i
    for i in full plain xz zstd members; do
        check "an OCI layout with layers as $i becomes a SIF that runs"
        built "oci:$IMAGES/$i.oci:latest"
    done
    check "scheme://PATH and scheme:PATH are the same"
    built "oci://$IMAGES/full.oci:latest"
    built "oci://$IMAGES/full.oci"
    built "oci:$IMAGES/full.oci"
    for i in full.oci.tar full-plain-names.oci.tar full.oci.tar.gz full.oci.tar.zst full.skopeo.oci.tar; do
        [ -e "$IMAGES/$i" ] || continue
        check "the OCI archive $i becomes a SIF that runs"
        built "oci-archive://$IMAGES/$i"
    done
    for i in save-old.tar save-new.tar save-old.tar.gz save-old.tar.xz save-new.tar.bz2 full.skopeo.docker.tar; do
        [ -e "$IMAGES/$i" ] || continue
        check "the docker archive $i becomes a SIF that runs"
        built "docker-archive://$IMAGES/$i"
    done
    check "a layer that is a link to another one in the archive is found"
    built "docker-archive:$IMAGES/save-link.tar" "layer one"
    check "an archive of two images gives the one that is named"
    built "docker-archive:$IMAGES/save-two.tar:example/full:1.0"
    built "docker-archive:$IMAGES/save-two.tar:tiny" "layer one"
    built "docker-archive:$IMAGES/save-two.tar:@1" "layer one"
    check "a layout of two images gives the one that is named, or numbered"
    built "oci:$IMAGES/two.oci:two" "layer one"
    run me singularity run x.sif
    expect_equal "$OUT" "two"
    built "oci:$IMAGES/two.oci:@0" "layer one"
    run me singularity run x.sif
    expect_equal "$OUT" "one"
    check "a relative path starts where the user stands"
    run me cp -r "$IMAGES/tiny.oci" ./near.oci
    built oci:near.oci "layer one"
    built oci-archive:../../../../images/tiny.oci.tar "layer one"
}
each_user all_sources

check "an index gives this machine's image, and --arch another's"
ok singularity build --force i.sif "oci:$IMAGES/index.oci"
case $(uname -m) in x86_64) here=amd64 other=arm64 ;; aarch64) here=arm64 other=amd64 ;; *) here= ;; esac
if [ -n "$here" ]; then
    run singularity exec i.sif /bin/sh -c 'echo $BUILT_FOR'
    expect_equal "$OUT" "$here"
    ok singularity build --force --arch $other o.sif "oci:$IMAGES/index.oci"
    run singularity sif header o.sif
    expect_out "$other"
    run singularity exec o.sif /bin/true
    expect_failure
    expect_err "the image's architecture|image targets"
fi

check "an existing target is kept unless the answer is yes or --force is given"
ok singularity build q.sif "oci:$IMAGES/tiny.oci"
before=$(sha256sum <q.sif)
run singularity build q.sif "oci:$IMAGES/full.oci"
[ "$RC" != 0 ] || fail "an existing target was overwritten without being asked"
expect_equal "$(sha256sum <q.sif)" "$before" "the target changed"
run bash -c "echo n | singularity build q.sif oci:$IMAGES/full.oci"
expect_equal "$(sha256sum <q.sif)" "$before" "the target changed after 'n'"
ok bash -c "echo y | singularity build q.sif oci:$IMAGES/full.oci"
[ "$(sha256sum <q.sif)" != "$before" ] || fail "the target is the old one after 'y'"
ok singularity build --force q.sif "oci:$IMAGES/tiny.oci"
expect_equal "$(sha256sum <q.sif)" "$before" "the same image gives the same bytes"

check "each compressor gives an image that the kernel and unsquashfs accept"
for c in zstd zstd:1 zstd:9 gzip gzip:9 lz4 xz; do
    ok singularity build --force --compress $c c.sif "oci:$IMAGES/full.oci"
    ok singularity exec c.sif /bin/cat /lab/small39
    ok bash -c "singularity sif dump \$(singularity sif list c.sif | awk '/Squashfs/ {print \$1}') c.sif >c.sqfs"
    ok unsquashfs -s c.sqfs
    expect_out "Compression ${c%%:*}"
done
run singularity build --force --compress lzma2 c.sif "oci:$IMAGES/full.oci"
expect_failure
expect_err "lzma2"

check "pull writes the default name, or the one that is given"
mkdir p && cd p || exit 1
ok singularity pull "oci:$IMAGES/two.oci:one"
expect_equal "$(find . -name '*.sif' | wc -l)" 1 "number of files pulled"
ok singularity pull named.sif "oci:$IMAGES/two.oci:one"
expect_exists named.sif
ok singularity pull --name sub.img "oci:$IMAGES/two.oci:one"
expect_exists sub.img
cd ..

check "build keeps quiet when it is told to"
run singularity --quiet build --force q.sif "oci:$IMAGES/tiny.oci"
expect_rc 0
refuse_err '^INFO'
run singularity -s build --force q.sif "oci:$IMAGES/tiny.oci"
expect_rc 0
expect_equal "$ERR" "" "silent means silent"
run singularity build -d --force q.sif "oci:$IMAGES/tiny.oci"
run singularity -d build --force q.sif "oci:$IMAGES/tiny.oci"
expect_rc 0
expect_err '^DEBUG'

check "the messages are those of the guide"
rm -f m.sif
ok singularity build m.sif "oci:$IMAGES/full.oci"
expect_err '^INFO:    Starting build\.\.\.'
expect_err '^Copying blob sha256:[0-9a-f]+'
expect_err '^Copying config sha256:[0-9a-f]+'
expect_err '^INFO:    Creating SIF file\.\.\.'
expect_err '^INFO:    Build complete: m\.sif'
refuse_err $'\r|\033'

check "nothing is left beside what was built"
expect_nothing_left
finish
