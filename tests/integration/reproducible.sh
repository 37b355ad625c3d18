# The same input gives the same bytes: on any number of processors, on another day, in another place.
. "$(dirname "$0")/../support/lib.sh"

ok singularity build one.sif "oci:$IMAGES/full.oci"
for n in 1 2 3 8; do
    check "--processors $n changes no byte"
    ok singularity build --processors $n p$n.sif "oci:$IMAGES/full.oci"
    expect_same_file one.sif p$n.sif
done

check "another directory, another name and another umask change no byte"
mkdir -p deep/er
cd deep/er || exit 1
(umask 077 && singularity build other-name.sif "oci:$IMAGES/full.oci") 2>/dev/null
expect_same_file ../../one.sif other-name.sif
cd ../..

check "a copy of an image is the same wherever the image lies"
cp one.sif deep/er/one.sif
ok singularity build again.sif one.sif
cd deep/er || exit 1
ok singularity build again.sif one.sif
cd ../..
expect_same_file again.sif deep/er/again.sif

check "another day changes no byte"
if command -v faketime >/dev/null; then
    run faketime '2031-05-06 07:08:09' singularity build day.sif "oci:$IMAGES/full.oci"
    expect_rc 0
    expect_same_file one.sif day.sif
else
    note "no faketime here"
fi

check "a copy of the input with other file times changes no byte"
cp -r "$IMAGES/full.oci" copy.oci
find copy.oci -exec touch -d 2001-02-03 {} +
ok singularity build copied.sif "oci:copy.oci"
labels_of() { singularity inspect --labels "$1" | grep -v deffile.from; }
expect_equal "$(labels_of copied.sif)" "$(labels_of one.sif)"
mkdir same && mv copy.oci same/full.oci && mkdir "$T/w/images" && mv same/full.oci "$T/w/images/"

check "SOURCE_DATE_EPOCH sets every time, and only these"
SOURCE_DATE_EPOCH=1700000000 run singularity build epoch.sif "oci:$IMAGES/full.oci"
expect_rc 0
SOURCE_DATE_EPOCH=1700000000 run singularity build epoch2.sif "oci:$IMAGES/full.oci"
expect_same_file epoch.sif epoch2.sif
ok singularity inspect --labels epoch.sif
expect_out 'Tuesday_14_November_2023_22:13:20_UTC'
! cmp -s one.sif epoch.sif || fail "SOURCE_DATE_EPOCH changed nothing"

check "without it the time is the image's own"
ok singularity inspect --labels one.sif
expect_out 'Sunday_13_September_2020_12:26:40_UTC'

check "archives of the same image give the same root file system"
ok singularity build a.sif "oci-archive:$IMAGES/full.oci.tar"
ok singularity build b.sif "oci-archive:$IMAGES/full.oci.tar.gz"
ok singularity build d.sif "docker-archive:$IMAGES/save-new.tar"
part() { singularity sif dump "$(singularity sif list "$1" | awk '/Squashfs/ {print $1}')" "$1"; }
files() { part "$1" >"$1.sqfs" && rm -rf "$1.tree" && unsquashfs -no-progress -d "$1.tree" "$1.sqfs" >/dev/null 2>&1; python3 "$SUPPORT/tree.py" --skip .singularity.d "$1.tree"; }
if command -v unsquashfs >/dev/null && [ "$(id -u)" = 0 ]; then
    files one.sif >one.list
    for i in a b d; do
        files $i.sif >$i.list
        diff one.list $i.list >diff.txt || { fail "$i.sif holds another tree"; head diff.txt; }
    done
fi
finish
