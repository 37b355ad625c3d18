# Definition files in the style of the other tools' documentation, built by Apptainer and by this: equal trees, apart from
# version labels, times and the texts in /.singularity.d. APPTAINER and APPTAINER_DIR are as in apptainer.sh.
. "$(dirname "$0")/../support/lib.sh"
[ -n "${APPTAINER:-}" ] || skip "APPTAINER names no Apptainer"
need_root
need_tool unsquashfs busybox
read -ra A <<<"$APPTAINER"
"${A[@]}" --version >/dev/null 2>&1 || skip "'$APPTAINER --version' fails"
S=${APPTAINER_DIR:-${PEERLAB:-$T/w}}/definitions.$$
mkdir -p "$S/tmp" "$S/cache" "$S/tree/bin"
trap 'rm -rf "$S"' EXIT
# Apptainer may be run by somebody else.
share() { chmod -R a+rwX "$S"; }
cd "$S" || exit 1
LIMIT=180
theirs() { env APPTAINER_CACHEDIR="$S/cache" APPTAINER_TMPDIR="$S/tmp" "${A[@]}" "$@"; }
cp "$IMAGES/save-old.tar" base.tar
cp "$(command -v busybox)" busybox && chmod 755 busybox
echo one >file1.txt && echo a >tree/a.txt && echo b >tree/b.txt && ln -s a.txt tree/link-to-a && echo s >"with space.txt"
printf '#!/bin/sh\necho run\n' >tree/bin/run.sh && chmod 755 tree/bin/run.sh
share
ok theirs build "$S/base.sif" "docker-archive:$S/base.tar"

listing() { # IMAGE TO: names, types, modes, owners, links, attributes and contents
    local offset
    offset=$(singularity sif list "$1" | sed -n 's/.*|\([0-9]*\)-[0-9]* *|FS.*/\1/p' | head -n 1)
    rm -rf "$T/tree"
    unsquashfs -q -n -o "${offset:-0}" -d "$T/tree" "$1" >/dev/null 2>&1 || { fail "$1 cannot be unpacked"; return; }
    # Of the texts in /.singularity.d only what they are, not what they say.
    # /lab has devices and owners of the base, which Apptainer cannot make for an ordinary user.
    python3 "$SUPPORT/tree.py" --skip lab "$T/tree" | sed -E "s/ t=[0-9]+//; s/bootstrap_history.Apptainer/bootstrap_history\\/Singularity/; s/^('.singularity.d.env.91-environment.sh' f) .*/\\1/; s/^('\\.singularity\\.d\\/.*'|'singularity'|'scif\\/apps\\/.*\\/scif\\/.*') f ([0-7]+ [0-9:]+) .*/\\1 f \\2/" >"$2"
    rm -rf "$T/tree"
}

for definition in "$SG_SOURCE"/tests/interop/definitions/*.def; do
    name=$(basename "$definition" .def)
    check "$name gives the same tree"
    sed "s#@BASE@#$S/base.tar#; s#@HERE@#$S#; s#From: base.sif#From: $S/base.sif#" "$definition" >"$name.def"
    rm -f generated.txt
    share
    run theirs build --force "$S/theirs.sif" "$S/$name.def"
    expect_rc 0
    rm -f generated.txt
    run singularity build --no-cache --force ours.sif "$name.def"
    expect_rc 0
    [ -e theirs.sif ] && [ -e ours.sif ] || continue
    listing theirs.sif theirs.tree
    listing ours.sif ours.tree
    diff theirs.tree ours.tree >difference || { fail "the trees differ (< theirs, > ours)"; head -n 30 difference; }
    rm -f theirs.sif ours.sif
done
finish
