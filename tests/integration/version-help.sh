# Version, help, global flags: what callers parse.
. "$(dirname "$0")/../support/lib.sh"

words() {
    check "version and --version"
    run me singularity version
    expect_rc 0
    expect_equal "$(wc -l <"$T/out")" 1 "lines"
    expect_out '^4\.[0-9]+\.[0-9]+[^ ]*$'
    run me singularity --version
    expect_rc 0
    expect_out '^singularity version 4\.[0-9]+\.[0-9]+[^ ]*$'
    check "with an empty environment too"
    run me env -i "$(command -v singularity)" --version
    expect_rc 0
    expect_out '^singularity version '
    check "help of all and of each verb, with an example"
    run me singularity help
    expect_rc 0
    for verb in build pull run exec shell inspect plugin config help version sif; do expect_out "^ +$verb( |,|$)"; done
    run me singularity --help
    expect_rc 0
    for verb in build pull run exec shell inspect plugin config; do
        run me singularity $verb --help
        expect_rc 0
        expect_out "singularity $verb"
        expect_out '[Ee]xample'
        run me singularity help $verb
        expect_rc 0
        expect_out "singularity $verb"
        expect_equal "$ERR" "" "help writes to stdout only"
    done
    check "nothing, or nonsense, is a usage error that helps"
    run me singularity
    [ "$RC" = 0 ] || [ "$RC" = 1 ] || fail "status $RC"
    run me singularity exce x.sif true
    expect_rc 1
    expect_err exec
}
each_user words

check "colours only on a terminal, and not with NO_COLOR"
unset NO_COLOR
run singularity exec no-such.sif true
refuse_err $'\033'
if command -v script >/dev/null; then
    script -qec "singularity exec no-such.sif true" /dev/null >with 2>&1 </dev/null
    grep -q $'\033\[3' with || fail "no colour on a terminal"
    NO_COLOR=1 script -qec "singularity exec no-such.sif true" /dev/null >without 2>&1 </dev/null
    ! grep -q $'\033\[3' without || fail "colour in spite of NO_COLOR"
fi
export NO_COLOR=1

check "global flags before or after the verb"
for flags in -q -s --quiet --silent "--quiet --silent" -v -d --debug --verbose "-q -v" --nocolor; do
    # shellcheck disable=SC2086 # words
    run singularity $flags version
    expect_rc 0
    expect_out '^4\.'
done
run singularity version -q
expect_rc 0
run singularity plugin list --quiet
expect_rc 0
check "the three files that users see are installed"
for f in bin/singularity bin/run-singularity etc/singularity/singularity.yaml include/singularity/plugin.h lib/cmake/Singularity/SingularityConfig.cmake; do
    [ -n "$(find "$PREFIX" -path "*/$f" | head -n 1)" ] || [ -n "$(find "$PREFIX" -name "$(basename $f)" | head -n 1)" ] || fail "no $f"
done
finish
