# SIF files travel both ways through a registry between this and Apptainer, and both use one cache; APPTAINER as in apptainer.sh.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/registry.sh"
[ -n "${APPTAINER:-}" ] || skip "APPTAINER names no Apptainer"
need_root
need_tool docker-registry curl jq
read -ra A <<<"$APPTAINER"
"${A[@]}" --version >/dev/null 2>&1 || skip "'$APPTAINER --version' fails"
S=${APPTAINER_DIR:-${PEERLAB:-$T/w}}/oras.$$
mkdir -p "$S/tmp" "$S/cache"
chmod -R 777 "$S"
trap 'rm -rf "$S"' EXIT
cd "$S" || exit 1
theirs() { env APPTAINER_CACHEDIR="$S/cache" APPTAINER_TMPDIR="$S/tmp" "${A[@]}" "$@"; }
LIMIT=180
start_registry open && OPEN=127.0.0.1:$PORT
manifest() { curl -sS -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$OPEN/v2/$1/manifests/v1"; }

ok singularity build image.sif "oci:$IMAGES/full.oci:latest"
chmod 755 image.sif
check "Apptainer pulls what we pushed"
ok singularity push "$S/image.sif" "oras://$OPEN/ours/x:v1"
run theirs pull --no-https "$S/theirs.sif" "oras://$OPEN/ours/x:v1"
expect_rc 0
expect_same_file theirs.sif image.sif
check "we pull what Apptainer pushed"
run theirs push --no-https "$S/image.sif" "oras://$OPEN/theirs/x:v1"
expect_rc 0
ok singularity pull "$S/back.sif" "oras://$OPEN/theirs/x:v1"
expect_same_file back.sif image.sif
check "both write the same manifest"
manifest ours/x >ours.json
manifest theirs/x >theirs.json
# Older ones write neither the embedded config nor the time.
if grep -q '"data"' theirs.json; then
    expect_same_file ours.json theirs.json
else
    expect_equal "$(jq -c 'del(.config.data, .annotations)' ours.json)" "$(jq -c 'del(.config.data, .annotations)' theirs.json)" "manifests"
fi
check "both start from one cache, and neither harms what the other keeps in it"
upload full.oci:latest "$OPEN/lab/full:latest"
mkdir "$S/shared"
export SINGULARITY_CACHEDIR=$S/shared SINGULARITY_NOHTTPS=1
shared() { env APPTAINER_CACHEDIR="$S/shared" APPTAINER_TMPDIR="$S/tmp" "${A[@]}" "$@"; }
for who in shared singularity shared singularity; do
    run $who exec $([ $who = singularity ] || echo --no-https) "docker://$OPEN/lab/full" /bin/cat /etc/motd
    expect_rc 0
    expect_equal "$OUT" "layer two"
done
refuse_err INFO
ok singularity cache list --json --verify
python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); assert len(d["images"]) == 2, d' "$T/out" || fail "the list"
ok singularity cache clean -f
run shared exec --no-https "docker://$OPEN/lab/full" /bin/cat /etc/motd
expect_equal "$OUT" "layer two"
stop_servers
finish
