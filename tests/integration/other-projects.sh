# Artefacts of other projects, as SINGULARITY_TEST_DATA names them: archives, layouts and images from the field.
. "$(dirname "$0")/../support/lib.sh"
need_data
D=$SINGULARITY_TEST_DATA

check "images from the field run"
for f in "$D"/sif-field/*; do
    run singularity exec -C "$f" /exit_37
    case $(basename "$f") in
    *exit_37*X86_64* | *exit_37*x86_64*) [ "$(uname -m)" != x86_64 ] || expect_rc 37 ;;
    *) [ "$RC" -lt 128 ] || [ "$RC" = 255 ] || fail "$f gave $RC" ;;
    esac
    refuse_err 'terminate called|Segmentation|std::'
    run singularity inspect "$f"
    refuse_err 'terminate called|Segmentation|std::'
done
check "an image of the 2.x form runs, and says what it lacks"
simg=$(find "$D/sif-field" -name 'hello*.simg' | head -n 1)
if [ -n "$simg" ]; then
    run singularity exec --userns "$simg" true
    expect_failure
    expect_err 'executable file not found in'
fi

check "archives are converted, or refused with a reason"
converted=0 refused=0
while read -r f; do
    for scheme in docker-archive oci-archive; do
        rm -f x.sif
        LIMIT=120 run singularity build x.sif "$scheme:$f"
        refuse_err 'terminate called|Segmentation|std::'
        if [ "$RC" = 0 ]; then
            converted=$((converted + 1))
            expect_exists x.sif
            ok singularity inspect x.sif
        else
            refused=$((refused + 1))
            [ "$RC" = 255 ] || fail "$scheme:$f: status $RC"
            expect_absent x.sif
        fi
    done
done < <(find "$D/archives" "$D/tar" -type f \( -name '*.tar' -o -name '*.tar.*' -o -name '*.tgz' \) | sort)
note "$converted converted, $refused refused"
[ $converted -gt 5 ] || fail "only $converted archives could be converted"

check "layouts are converted, or refused with a reason"
while read -r f; do
    rm -f x.sif
    run singularity build x.sif "oci:$(dirname "$f")"
    refuse_err 'terminate called|Segmentation|std::'
    [ "$RC" = 0 ] || [ "$RC" = 255 ] || fail "$f: status $RC"
done < <(find "$D/oci" "$D/archives" -name index.json | sort)

check "squashfs images of others open"
for f in "$D"/squashfs/*.sqfs "$D"/squashfs/testdata/*; do
    rm -f x.sif
    run singularity build x.sif "$f"
    refuse_err 'terminate called|Segmentation|std::'
    [ "$RC" = 0 ] || [ "$RC" = 255 ] || fail "$f: status $RC"
done
expect_nothing_left
finish
