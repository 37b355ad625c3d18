# Images travel both ways between this and Apptainer. APPTAINER names it: a path, or words that run it somewhere else
# (a wrapper that enters another root); then APPTAINER_DIR, or PEERLAB, is a directory that both see.
. "$(dirname "$0")/../support/lib.sh"
[ -n "${APPTAINER:-}" ] || skip "APPTAINER names no Apptainer"
need_root
read -ra A <<<"$APPTAINER"
"${A[@]}" --version >/dev/null 2>&1 || skip "'$APPTAINER --version' fails"
S=${APPTAINER_DIR:-${PEERLAB:-$T/w}}/interop.$$
mkdir -p "$S/tmp" "$S/cache"
chmod -R 777 "$S"
trap 'rm -rf "$S"' EXIT
cd "$S" || exit 1
theirs() { env APPTAINER_CACHEDIR="$S/cache" APPTAINER_TMPDIR="$S/tmp" "${A[@]}" "$@"; }
LIMIT=180

for c in zstd gzip lz4 xz; do
    check "Apptainer runs, lists, inspects and dumps ours, $c"
    ok singularity build --compress $c ours-$c.sif "oci:$IMAGES/full.oci"
    chmod 755 ours-$c.sif
    run theirs exec "$S/ours-$c.sif" /bin/cat /etc/motd
    expect_rc 0
    expect_equal "$OUT" "layer two"
    run theirs run "$S/ours-$c.sif" a b
    expect_equal "$OUT" "entry a b"
    run theirs exec "$S/ours-$c.sif" /bin/sh -c 'echo "$COLOUR $QUOTED"'
    expect_equal "$OUT" "blue a 'single' and \"double\" \$dollar \`tick\` \\back"
    run theirs sif list "$S/ours-$c.sif"
    expect_rc 0
    cp "$T/out" theirs.list
    run singularity sif list "$S/ours-$c.sif"
    expect_equal "$OUT" "$(cat theirs.list)" "the two lists"
    run theirs sif header "$S/ours-$c.sif"
    cp "$T/out" theirs.header
    run singularity sif header "$S/ours-$c.sif"
    expect_equal "$OUT" "$(cat theirs.header)" "the two headers"
    run theirs inspect --json --all "$S/ours-$c.sif"
    expect_rc 0
    cp "$T/out" theirs.json
    run singularity inspect --json --all "$S/ours-$c.sif"
    if command -v jq >/dev/null; then
        for part in labels environment runscript deffile; do
            expect_equal "$(jq -S ".data.attributes.$part" "$T/out")" "$(jq -S ".data.attributes.$part" theirs.json)" "inspect: $part"
        done
    fi
    id=$(singularity sif list "$S/ours-$c.sif" | awk '/Squashfs/ {print $1}')
    theirs sif dump "$id" "$S/ours-$c.sif" >theirs.part 2>/dev/null
    singularity sif dump "$id" "$S/ours-$c.sif" >ours.part
    expect_same_file theirs.part ours.part
done

check "Apptainer uses our sandbox, and we its"
ok singularity build --sandbox ours.d "oci:$IMAGES/full.oci"
run theirs exec "$S/ours.d" /bin/cat /etc/motd
expect_equal "$OUT" "layer two"
cp -r "$IMAGES/full.oci" "$IMAGES/full.oci.tar" "$IMAGES/save-old.tar" .
run theirs build "$S/theirs.sif" "oci-archive:$S/full.oci.tar"
[ "$RC" = 0 ] || run theirs build "$S/theirs.sif" "docker-archive:$S/save-old.tar"
expect_rc 0
ok theirs build --sandbox "$S/theirs.d" "$S/theirs.sif"
for image in theirs.sif theirs.d; do
    run singularity exec "$S/$image" /bin/cat /etc/motd
    expect_rc 0
    expect_equal "$OUT" "layer two"
    run singularity run "$S/$image" a b
    expect_equal "$OUT" "entry a b"
    ok singularity inspect "$S/$image"
    ok singularity inspect --runscript "$S/$image"
done
ok singularity build again.sif theirs.sif
run theirs exec "$S/again.sif" /bin/cat /etc/motd
expect_equal "$OUT" "layer two"

check "SIFs that Apptainer packed with other compressors run"
for c in gzip zstd lz4 xz lzo; do
    rm -rf p.sqfs hand.sif
    mksquashfs theirs.d p.sqfs -comp $c -noappend -quiet -no-progress >/dev/null 2>&1 || { note "mksquashfs knows no $c"; continue; }
    run theirs sif new "$S/hand.sif"
    run theirs sif add --datatype 4 --parttype 2 --partfs 1 --partarch 2 --groupid 1 "$S/hand.sif" "$S/p.sqfs"
    expect_rc 0
    run singularity exec "$S/hand.sif" /bin/cat /etc/motd
    expect_rc 0
    expect_equal "$OUT" "layer two"
    if [ $c != lzo ] && user_namespaces && [ $FUSE_FOR_USERS = yes ]; then
        chmod 644 hand.sif
        run as_user singularity exec "$S/hand.sif" /bin/cat /etc/motd
        expect_rc 0
        expect_equal "$OUT" "layer two"
    fi
done
finish
