# plugin list and inspect, registration files, and an install that was moved.
. "$(dirname "$0")/../support/lib.sh"
own_prefix # a copy at another place: this is the move
ETC=$PREFIX/etc/singularity

check "a moved install finds its plugins and its configuration"
ok singularity build x.sif "oci:$IMAGES/tiny.oci"
ok singularity exec x.sif true
ok singularity config show --origin
refuse_out "$SG_STAGE/prefix/"

check "plugin list names each, and loads none"
ok singularity plugin list
for p in docker-archive localimage oci oci-archive file sandbox sif squashfs native; do expect_out "(^|[^a-z-])$p([^a-z-]|$)"; done
ok singularity plugin list --json
if command -v jq >/dev/null; then jq -e . "$T/out" >/dev/null || { fail "no JSON"; told; }; fi
if command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null; then
    strace -f -e trace=open,openat -o trace singularity plugin list >/dev/null
    ! grep -E '/plugins/.*\.so' trace | grep -v ENOENT || fail "plugin list opened plugin objects"
fi
ok singularity plugin inspect oci
expect_out oci
run singularity plugin inspect nobody
expect_failure
expect_err nobody

check "help names the schemes and each has a page"
ok singularity help
ok singularity help build
for s in docker-archive oci oci-archive localimage; do
    ok singularity help $s
    expect_out "$s"
done

check "a disabled plugin is gone from everything, and its message says why"
printf 'plugins:\n  - manifest: oci-archive/plugin.yaml\n    enabled: false\n' >"$ETC/plugins.d/90-site.yaml"
run singularity build y.sif "oci-archive:$IMAGES/tiny.oci.tar"
expect_failure
expect_err 'oci-archive'
expect_absent y.sif
ok singularity plugin list
refuse_out '^ *oci-archive .*enabled.*yes'
rm "$ETC/plugins.d/90-site.yaml"
ok singularity build y.sif "oci-archive:$IMAGES/tiny.oci.tar"

check "a registration that is wrong names file and line"
printf 'plugins:\n  - manifest: nowhere/plugin.yaml\n' >"$ETC/plugins.d/90-site.yaml"
run singularity build --force y.sif "oci:$IMAGES/tiny.oci"
[ "$RC" = 0 ] || expect_err '90-site\.yaml'
grep -q '90-site' "$T/err" || fail "a registration of nothing passes without a word"
rm "$ETC/plugins.d/90-site.yaml"

check "an unknown scheme names the nearest one"
run singularity build z.sif ocy-archive:x.tar
expect_failure
expect_err 'oci-archive'
run singularity build z.sif docker://example/none
expect_failure
expect_absent z.sif

check "a user's own registration works for him alone"
mkdir -p "$HOME/.singularity/plugins.d"
ok singularity plugin list
finish
