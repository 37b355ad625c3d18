# shellcheck shell=bash
# owners.sh: for tests that build one definition as root, as a user with subordinate ids and as one without. Needs root.

cp /etc/subuid "$T/subuid" 2>/dev/null || : >"$T/subuid"
grep -v "^$USER_NAME:" "$T/subuid" >"$T/none"
{ cat "$T/none"; echo "$USER_NAME:700000:65536"; } >"$T/subuid"
chmod 644 "$T/subuid" "$T/none"
touch /etc/subuid /etc/subgid
ALL_USER_WORDS=("${USER_WORDS[@]}")
subordinate() { # FILE: is /etc/subuid and /etc/subgid from now on ($T/subuid or $T/none)
    # newuidmap is set-user-id root, and maps nothing where root has no capabilities.
    USER_WORDS=()
    for word in "${ALL_USER_WORDS[@]}"; do [ "$1/$word" = "$T/subuid/--bounding-set=-all" ] || USER_WORDS+=("$word"); done
    umount /etc/subuid /etc/subgid 2>/dev/null
    mount --bind "$1" /etc/subuid && mount --bind "$1" /etc/subgid
}

mkdir -m 777 out
# listing NAME [WORDS OF tree.py...]: the tree of out/NAME.sif without times goes to NAME.tree.
listing() {
    local offset name=$1
    shift
    offset=$(singularity sif list "out/$name.sif" | sed -n 's/.*|\([0-9]*\)-[0-9]* *|FS.*/\1/p' | head -n 1)
    rm -rf "$T/tree"
    unsquashfs -q -n -o "${offset:-0}" -d "$T/tree" "out/$name.sif" >/dev/null 2>&1 || { fail "out/$name.sif cannot be unpacked"; return; }
    python3 "$SUPPORT/tree.py" --skip .singularity.d/labels.json "$@" "$T/tree" | sed -E 's/ t=[0-9]+//' >"$name.tree"
    rm -rf "$T/tree"
}
expect_same_tree() { # NAME: of out/NAME.sif as of out/root.sif
    diff root.tree "$1.tree" >difference || { fail "the trees differ"; head -n 40 difference; }
}
