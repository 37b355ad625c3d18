# A start maps no big library, parses no YAML, and costs little.
. "$(dirname "$0")/../support/lib.sh"
ok singularity build x.sif "oci:$IMAGES/tiny.oci"
chmod 755 x.sif
heavy='libm\.so|libstdc\+\+|libgcc_s|libcrypto|libssl|libarchive|libPoco|libbotan|libyaml-cpp|libfmt'

check "the program itself needs none of the libraries"
ok ldd "$(command -v singularity)"
refuse_out "$heavy"

lean() {
    command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null || { note "no strace here"; return; }
    check "exec opens none of them either"
    run me singularity exec "$T/w/x.sif" true # so that the index is there
    run me strace -f -e trace=open,openat,execve -o trace.txt singularity exec "$T/w/x.sif" /bin/true
    if [ "$RC" != 0 ]; then
        note "exec under strace gives $RC; its start is traced all the same"
    fi
    ! grep -E "\"[^\"]*($heavy)" trace.txt | grep -v ENOENT | head -5 | grep . || fail "exec opened them"
    ! grep -E '"[^"]*\.yaml"' trace.txt | grep -v ENOENT | head -5 | grep . || fail "exec read YAML"
    ! grep -E '"[^"]*/build\.so"' trace.txt | grep . || fail "exec loaded the building module"
    check "it starts no helper program"
    expect_equal "$(grep -c 'execve(' trace.txt | tr -d ' ')" "$(grep 'execve(' trace.txt | grep -cE 'singularity|/bin/true|busybox|= -1')" "programs started: $(grep 'execve(' trace.txt | head -5)"
    check "version and help read no YAML"
    for verb in version --version help; do
        run me strace -f -e trace=openat -o trace.txt singularity $verb
        expect_rc 0
        ! grep -E '"[^"]*\.yaml"' trace.txt | grep -v ENOENT | head -5 | grep . || fail "$verb read YAML"
    done
}
each_user lean

looked_up() {
    command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null || { note "no strace here"; return; }
    check "a start from a URI whose image is cached opens neither the building module nor what unpacks archives"
    run me singularity exec "oci:$IMAGES/tiny.oci" true
    expect_rc 0
    run me strace -f -e trace=open,openat -o trace.txt singularity exec "oci:$IMAGES/tiny.oci" true
    expect_rc 0
    grep -q '/lookup\.so"' trace.txt || fail "the look-up was not traced"
    ! grep -E '"[^"]*(/build\.so|libarchive|libzstd|liblzma|libicu|libxml2|libcrypto|libssl|libm\.so)' trace.txt | grep -v ENOENT | head -5 | grep . || fail "the look-up loaded them"
}
looked_up

check "1,000 registered plugins do not get in the way of a start"
own_prefix
mkdir many
echo 'plugins:' >"$PREFIX/etc/singularity/plugins.d/70-many.yaml"
for i in $(seq 1000); do
    mkdir "many/$i"
    printf 'name: many%s\nobject: many.so\nabi: 1\nversion: 1.0.0\nsummary: one of many\nprovides:\n  - bootstrap: {scheme: many%s, summary: s, example: "many%s:x"}\n' $i $i $i >"many/$i/plugin.yaml"
    echo "  - {manifest: $PWD/many/$i/plugin.yaml, enabled: true}" >>"$PREFIX/etc/singularity/plugins.d/70-many.yaml"
done
ok singularity exec x.sif true
ok singularity exec x.sif true
if command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null; then
    strace -f -e trace=openat,read -o trace.txt singularity exec x.sif /bin/true
    ! grep -E '"[^"]*many/[0-9]+/plugin\.yaml"' trace.txt | head -3 | grep . || fail "a start reads manifests"
fi
run singularity build y.sif many77:x
expect_failure
expect_err 'many77|many\.so'
finish
