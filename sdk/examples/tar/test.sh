#!/bin/bash
# test.sh PROGRAM MANIFEST: tarballs of GNU tar are run and read, ours are read by GNU tar. Needs python3 and the program of Debian's
# busybox-static; as root it tries owners, devices and capabilities too.
set -euo pipefail
program=$1 manifest=$2
T=$(mktemp -d)
trap 'chmod -R u+rwX "$T"; rm -rf "$T"' EXIT
export HOME=$T
mkdir -p "$T/.singularity/plugins.d"
echo "plugins: [{manifest: $manifest}]" >"$T/.singularity/plugins.d/tar.yaml"
cd "$T"
same() { [ "$1" = "$2" ] || { echo "got '$1' instead of '$2'" >&2; exit 1; }; }

# What a tree is, without what a build says of itself; times in whole seconds, and none of directories, which change while one
# looks at them.
listing() {
    rm -rf "$1/.singularity.d"
    (cd "$1" && find . -type d -printf '%y %m %U:%G %P\n' -o -printf '%y %m %U:%G %n %s %Ts %P %l\n' | LC_ALL=C sort)
    (cd "$1" && find . -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum)
    [ "$(id -u)" != 0 ] || (cd "$1" && getcap -r . && stat -c '%t,%T' null)
}
long=$(printf 'directory-%.0s' {1..12})
mkdir -p "box/bin" "box/$long/$long" box/empty
cp "$(command -v busybox)" box/bin/sh
ln box/bin/sh box/bin/cat
ln -s sh box/bin/ash
ln -s sh box/bin/md5sum
ln -s "/$long/$long/nowhere" box/far
echo "a text" >"box/$long/$long/file"
: >box/nothing
mkfifo box/pipe
printf 'odd' >"box/$(printf 'b\303\244r \377')"
truncate -s 3M box/zeros
touch -d @-5 box/empty
touch -h -d @5 box/far
touch -d 2001-02-03 "box/$long/$long/file"
if [ "$(id -u)" = 0 ]; then
    mknod box/null c 1 3
    chown 3000000:70000 box/nothing
    setcap cap_net_raw+ep box/bin/sh 2>/dev/null || true
    chown -h 5:6 box/far
fi
chmod 4751 box/nothing # after its owner, which takes the bit away
"$program" build --sandbox expected.d box
listing expected.d >expected.txt

# Tarballs of GNU tar, read at random and as a whole: the image is that of the tree that was packed.
tar -C box --format=gnu -cf gnu.tar .
tar -C box --format=pax --xattrs --xattrs-include='*' -cf pax.tar .
for format in gnu pax; do
    same "$("$program" exec $format.tar /bin/cat "/$long/$long/file")" "a text"
    "$program" build --sandbox $format.d $format.tar
    listing $format.d >got.txt
    # Only pax has extended attributes, and with them capabilities.
    diff <(grep -av cap_net <expected.txt) <(grep -av cap_net <got.txt)
done
diff expected.txt got.txt
tar -C box --format=ustar -cf ustar.tar bin
same "$("$program" exec ustar.tar /bin/ash -c "echo hello")" hello
status=0
"$program" exec ustar.tar /bin/sh -c 'exit 9' || status=$?
same $status 9

# Ours: GNU tar reads back what we wrote, and the same bytes come out each time.
"$program" build --tar one.tar pax.tar
"$program" build x.sif pax.tar
"$program" build --tar two.tar x.sif
for name in one two; do
    mkdir $name
    tar -C $name --xattrs --xattrs-include='*' -xpf $name.tar
    listing $name >got.txt
    diff expected.txt got.txt
done
same "$("$program" exec one.tar /bin/cat "/$long/$long/file")" "a text"
"$program" build --tar again.tar pax.tar
cmp one.tar again.tar

# Many readers at once.
"$program" exec one.tar /bin/sh -c 'for i in 1 2 3 4 5 6 7 8; do /bin/cat /zeros /bin/sh | /bin/md5sum & done; wait' >sums.txt
same "$(sort -u sums.txt | wc -l) $(wc -l <sums.txt)" "1 8"

# Hostile and damaged ones end with one line, and the host lives on.
cat >hostile.py <<'EOF'
import io, tarfile
def make(name, *entries, cut=None):
    with tarfile.open(name, "w", format=tarfile.PAX_FORMAT) as t:
        for entry in entries:
            info = tarfile.TarInfo(entry["name"])
            for key, value in entry.items():
                setattr(info, key, value)
            t.addfile(info, io.BytesIO(b"x" * info.size))
    if cut is not None:
        with open(name, "r+b") as f:
            f.truncate(cut)
make("climb.tar", dict(name="../out", size=1))
make("below.tar", dict(name="a", type=tarfile.SYMTYPE, linkname="/"), dict(name="a/b", size=1))
make("loop.tar", dict(name="a", type=tarfile.LNKTYPE, linkname="a"))
make("nowhere.tar", dict(name="a", type=tarfile.LNKTYPE, linkname="b"))
make("short.tar", dict(name="a", size=100000), cut=2000)
make("root.tar", dict(name=".", type=tarfile.SYMTYPE, linkname="/"))
make("oci.tar", dict(name="oci-layout", size=3), dict(name="index.json", size=3))
make("docker.tar", dict(name="manifest.json", size=3))
make("huge.tar", dict(name="a", size=1))
data = bytearray(open("huge.tar", "rb").read())
data[124:136] = b"\x80" + b"\x7f" * 11
data[148:156] = b" " * 8
data[148:156] = b"%06o\0 " % sum(data[:512])
open("huge.tar", "wb").write(data)
sparse = bytearray(open("climb.tar", "rb").read())
sparse[156:157] = b"S"
sparse[148:156] = b" " * 8
sparse[148:156] = b"%06o\0 " % sum(sparse[:512])
open("sparse.tar", "wb").write(sparse)
sum_wrong = open("one.tar", "rb").read()
open("sum.tar", "wb").write(sum_wrong[:512] + b"garbage" * 512)
EOF
python3 hostile.py
refused() { # TARBALL PATTERN
    status=0
    "$program" build --sandbox no.d "$1" >output.txt 2>&1 || status=$?
    if [ $status != 255 ] || ! grep -qE "FATAL: .*$2" output.txt || [ -e no.d ]; then
        echo "$1: status $status" >&2
        cat output.txt >&2
        exit 1
    fi
}
refused climb.tar "cannot be in a root file system"
refused below.tar "is no directory"
refused loop.tar "no file before it"
refused nowhere.tar "no file before it"
refused short.tar "ends inside of 'a'"
refused root.tar "its root is no directory"
refused huge.tar "damaged|ends inside"
refused sparse.tar "damaged|sparse files|cannot be in"
refused sum.tar "damaged|an entry has no name"
refused oci.tar "is an OCI archive"
refused docker.tar "is a Docker archive"
if "$program" build --tar --compress zstd no.tar pax.tar 2>output.txt; then exit 1; fi
test ! -e no.tar
