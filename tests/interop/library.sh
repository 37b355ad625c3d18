# Images travel both ways through a hub between this and Apptainer, which share remote.yaml; APPTAINER as in apptainer.sh.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/hub.sh"
[ -n "${APPTAINER:-}" ] || skip "APPTAINER names no Apptainer"
need_root
read -ra A <<<"$APPTAINER"
"${A[@]}" --version >/dev/null 2>&1 || skip "'$APPTAINER --version' fails"
S=${APPTAINER_DIR:-${PEERLAB:-$T/w}}/library.$$
mkdir -p "$S/home/.apptainer" "$S/tmp"
chmod -R 777 "$S"
trap 'rm -rf "$S"' EXIT
cd "$S" || exit 1
theirs() { "${A[@]}" "$@"; }
# Its home is where it finds remote.yaml; in another root only a shell there can set it.
case ${A[*]} in
*" apptainer" | apptainer) A=("${A[@]:0:${#A[@]}-1}" env "HOME=$S/home" "APPTAINER_TMPDIR=$S/tmp" apptainer) ;;
*) skip "APPTAINER must end in the word apptainer" ;;
esac
LIMIT=180

# It takes no port in the address of a remote.
hub_user alice "$T/hub"
ALICE=$TOKEN
for last in $(seq 101 120); do
    URL='' PORT=80
    : >"$T/serve.out"
    singularity hub serve --data "$T/hub" --listen "127.0.0.$last:80" >"$T/serve.out" 2>"$T/serve.err" &
    HUB=$!
    for _ in $(seq 200); do
        URL=$(sed -n 's/^The hub listens on //p' "$T/serve.out")
        [ -z "$URL" ] && kill -0 "$HUB" 2>/dev/null || break
        read -rt 0.05 <> <(:) || :
    done
    [ -n "$URL" ] && break
done
[ -n "$URL" ] || skip "port 80 is taken"
URL=http://127.0.0.$last

export HOME=$S/home
ok singularity build "$S/image.sif" "oci:$IMAGES/full.oci:latest"
ok singularity build "$S/other.sif" "oci:$IMAGES/tiny.oci"

check "Apptainer adds a remote and logs in, and we are logged in"
run theirs remote add --no-login --insecure site "$URL"
expect_rc 0
echo "$ALICE" >"$S/token"
run theirs remote login --tokenfile "$S/token" site
expect_rc 0
cp "$S/home/.apptainer/remote.yaml" "$S/theirs.yaml"
run singularity remote status
expect_rc 0
expect_out 'Valid authentication token set'
check "what we write, it reads; and it would have written the same"
ok singularity remote use site
expect_absent "$S/home/.singularity/remote.yaml"
cp "$S/home/.apptainer/remote.yaml" "$S/ours.yaml"
run theirs remote use site
expect_rc 0
expect_same_file "$S/home/.apptainer/remote.yaml" "$S/ours.yaml"
run theirs remote status
expect_rc 0
expect_out 'Valid authentication token set'

check "Apptainer pulls what we pushed"
ok singularity push -U "$S/image.sif" library://alice/default/ours:v1
run theirs pull "$S/ours.sif" library://alice/default/ours:v1
expect_rc 0
expect_same_file "$S/ours.sif" "$S/image.sif"
check "we pull what Apptainer pushed"
run theirs push -U "$S/other.sif" library://alice/default/theirs:v1
expect_rc 0
ok singularity pull "$S/theirs.sif" library://alice/default/theirs:v1
expect_same_file "$S/theirs.sif" "$S/other.sif"
check "both find both"
run theirs search alice
expect_out 'library://alice/default/ours:v1'
run singularity search alice
expect_out 'library://alice/default/ours:v1'
expect_out 'library://alice/default/theirs:v1'
check "each logs the other out"
ok singularity remote logout
run theirs push -U "$S/other.sif" library://alice/default/more:v1
[ "$RC" != 0 ] || fail "Apptainer is logged in still"
stop_hub
finish
