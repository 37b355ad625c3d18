# The verbs of `sif`, alone and beside the golden texts of the reference library.
. "$(dirname "$0")/../support/lib.sh"

ok singularity build x.sif "oci:$IMAGES/full.oci"

check "list, header, info and dump describe an image of ours"
ok singularity sif list x.sif
expect_out '^ID   \|GROUP'
expect_out 'FS \(Squashfs/\*System/(amd64|arm64)\)'
ok singularity sif header x.sif
expect_out 'Launch.*run-singularity'
id=$(singularity sif list x.sif | awk '/Squashfs/ {print $1}')
ok singularity sif info "$id" x.sif
singularity sif dump "$id" x.sif >part.sqfs
expect_equal "$(head -c 4 part.sqfs)" hsqs "magic of the dumped partition"
ok file x.sif
expect_out 'run-singularity script executable'
expect_equal "$(head -n 1 x.sif | tr -d '\0')" '#!/usr/bin/env run-singularity'

check "new, add, setprim and del make an image by hand"
ok singularity sif new n.sif
ok singularity sif list n.sif
run singularity sif add --datatype 4 --parttype 2 --partfs 1 --partarch amd64 --groupid 1 n.sif part.sqfs
expect_rc 0
ok singularity sif list n.sif
expect_out 'Squashfs'
new=$(awk '/Squashfs/ {print $1}' "$T/out")
singularity sif dump "${new:-1}" n.sif >again.sqfs
expect_same_file part.sqfs again.sqfs
case $(uname -m) in x86_64)
    run singularity exec n.sif /bin/cat /etc/motd
    expect_rc 0
    expect_equal "$OUT" "layer two"
    ;;
esac
echo '{"a":1}' >d.json
ok singularity sif add --datatype 6 n.sif d.json
other=$(singularity sif list n.sif | awk '/JSON/ {print $1}')
ok singularity sif dump "${other:-2}" n.sif
expect_equal "$OUT" '{"a":1}'
ok singularity sif del "${other:-2}" n.sif
ok singularity sif list n.sif
refuse_out JSON

check "wrong input is refused"
run singularity sif list "$IMAGES/full.oci.tar"
expect_failure
run singularity sif dump 99 x.sif
expect_failure
run singularity sif del 99 n.sif
expect_failure
run singularity sif list no-such.sif
expect_failure
expect_err no-such.sif
run singularity sif
[ "$RC" = 0 ] || [ "$RC" = 1 ] || fail "sif alone gave $RC"

if [ -n "${SINGULARITY_TEST_DATA:-}" ] && [ -d "${SINGULARITY_TEST_DATA:-}/sif" ]; then
    D=$SINGULARITY_TEST_DATA/sif
    check "every image of the reference library lists, and its header reads"
    for f in "$D"/images/*.sif; do
        run singularity sif list "$f"
        expect_rc 0
        run singularity sif header "$f"
        expect_rc 0
    done
    check "list, header, info and dump give the reference's texts"
    compared=0
    while read -r golden; do
        # .../Test_command_list/OneGroup.golden and the like: the folder names the verb, the file the image.
        verb=$(basename "$(dirname "$golden")")
        verb=${verb##*_}
        verb=${verb,,}
        name=$(basename "$golden" .golden | sed -E 's/([A-Z]+)([A-Z][a-z])/\1-\2/g; s/([a-z0-9])([A-Z])/\1-\2/g' | tr '[:upper:]' '[:lower:]')
        image=$D/images/$name.sif
        [ -e "$image" ] || continue
        case $verb in
        list | header) run singularity sif "$verb" "$image" ;;
        *) continue ;;
        esac
        compared=$((compared + 1))
        diff "$golden" "$T/out" >"$T/diff" || { fail "$verb of $name differs from $golden"; head -10 "$T/diff"; }
    done < <(find "$D/siftool-golden" -name '*.golden')
    note "$compared texts compared"
fi
finish
