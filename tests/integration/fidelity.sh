# What is in a SIF, compared with what umoci makes of the same layers; and what the kernel and other tools say of it.
. "$(dirname "$0")/../support/lib.sh"
need_root
need_tool umoci unsquashfs python3

# What building adds, or empties on purpose.
skips=(--skip .singularity.d --skip environment --skip singularity --skip .run --skip .exec --skip .test --skip .shell
    --skip etc/hosts --skip etc/resolv.conf)
# The root and etc get entries, so their times are not those of the layers.
listing() { python3 "$SUPPORT/tree.py" "${skips[@]}" "$1" | sed -E 's/^(\.|.etc.) (d [0-9]+ [0-9:]+) t=[0-9]+/\1 \2/'; }
partition() { singularity sif dump "$(singularity sif list "$1" | awk '/Squashfs/ {print $1}')" "$1"; }

ok umoci unpack --image "$IMAGES/full.oci:latest" reference
listing reference/rootfs >want

check "a SIF made by root holds what umoci unpacks, node for node"
ok singularity build root.sif "oci:$IMAGES/full.oci"
partition root.sif >root.sqfs
ok unsquashfs -no-progress -d root.tree root.sqfs
listing root.tree >got
diff want got >diff.txt || { fail "the trees differ"; head -30 diff.txt; }

check "a SIF made by an ordinary user is byte for byte the same"
if user_namespaces; then
    as_user mkdir -p "$USER_HOME/d"
    (cd "$USER_HOME/d" && run as_user singularity build user.sif "oci:$IMAGES/full.oci" && expect_rc 0)
    expect_same_file root.sif "$USER_HOME/d/user.sif"
fi

check "the kernel mounts the partition and shows the same"
mkdir m
if mount -o loop,ro -t squashfs root.sqfs m 2>/dev/null; then
    listing m >kernel
    umount m
    diff want kernel >diff.txt || { fail "the kernel sees another tree"; head -30 diff.txt; }
else
    note "no loop mounts here"
fi

check "what a container sees is the same, by the kernel's mount and by ours"
seen() { sed -n 's/^.lab\/small0\([0-9]\). .* \([0-9]* [0-9a-f]*\)$/\1 \2/p' "$1"; }
inside='cd /lab && for f in hard owned setuid big exact zeros small00 small39 same1 "sp ace" empty; do stat -c "%n %a %s %Y %h" "$f"; sha256sum <"$f"; done; ls /lab; readlink up; stat -c "%a" secret opaque setgid null fifo'
if busybox sha256sum </dev/null >/dev/null 2>&1; then
    inside=${inside//sha256sum/busybox sha256sum}
    run singularity exec root.sif /bin/sh -c "$inside"
    expect_rc 0
    by_root=$OUT
    if user_namespaces && [ $FUSE_FOR_USERS = yes ]; then
        chmod 755 . && chmod 644 root.sif
        run as_user singularity exec root.sif /bin/sh -c "$inside"
        by_user=$OUT
        # The owner's files cannot be read by somebody else: leave these lines out.
        expect_equal "$(grep -v -e owned -e '^[0-9a-f]* *-$' <<<"$by_user")" "$(grep -v -e owned -e '^[0-9a-f]* *-$' <<<"$by_root")" \
            "user and root see different things"
    fi
fi

check "unsquashfs describes the super block as ours should be"
ok unsquashfs -s root.sqfs
expect_out 'Compression zstd'
expect_out 'Block size 131072'
expect_out 'created on|Creation or last append time'

check "a sandbox made by root holds what umoci unpacks"
ok singularity build --sandbox sandbox "oci:$IMAGES/full.oci"
listing sandbox >got
diff want got >diff.txt || { fail "the trees differ"; head -30 diff.txt; }

check "SIF to SIF copies the blocks as they are"
ok singularity build copy.sif root.sif
partition copy.sif >copy.sqfs
rm -rf copy.tree
ok unsquashfs -no-progress -d copy.tree copy.sqfs
listing copy.tree >got
diff want got >diff.txt || { fail "the trees differ"; head -30 diff.txt; }

check "a squashfs of mksquashfs becomes a SIF, and runs"
ok mksquashfs reference/rootfs plain.sqfs -comp zstd -noappend -no-progress -quiet
ok singularity build from-squashfs.sif plain.sqfs
partition from-squashfs.sif >fs.sqfs
rm -rf fs.tree
ok unsquashfs -no-progress -d fs.tree fs.sqfs
listing fs.tree >got
diff want got >diff.txt || { fail "the trees differ"; head -30 diff.txt; }
run singularity exec plain.sqfs /bin/cat /etc/motd
expect_rc 0
expect_equal "$OUT" "layer two"
expect_nothing_left
finish
