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
check "keys go through the hub's keystore, and each verifies what the other signed"
fingerprint() { sed -n 's/^.*Fingerprint: *\([0-9A-Fa-f]\{40\}\).*/\1/p' | tr a-f A-F | tail -n 1; }
ok singularity key newpair --name "Ann Ours" --email ann@example.org --comment ours --password secret --bit-length 2048
OURS=$(singularity key list | fingerprint)
ok singularity key push "$OURS"
cp "$S/image.sif" "$S/ours-signed.sif"
echo secret | singularity sign "$S/ours-signed.sif" >/dev/null 2>&1 || fail "sign"
run theirs key search "$OURS"
expect_out "Ann Ours"
run theirs key pull "$OURS"
expect_rc 0
run theirs verify "$S/ours-signed.sif"
expect_rc 0
run theirs key newpair --bit-length 2048 -N "Bob Theirs" -E bob@example.org -C theirs -P secret --push
expect_rc 0
THEIRS=$(theirs key list 2>/dev/null | grep -A3 'Bob Theirs' | fingerprint)
cp "$S/other.sif" "$S/theirs-signed.sif"
echo secret | theirs sign "$S/theirs-signed.sif" >/dev/null 2>&1 || fail "their sign"
run singularity key search Theirs
expect_out "$THEIRS .*Bob Theirs"
run singularity verify "$S/theirs-signed.sif"
expect_rc 0
expect_out '^\[REMOTE\] +Signing entity: Bob Theirs'
ok singularity key pull "$THEIRS"
run singularity push "$S/theirs-signed.sif" library://alice/default/theirs:signed
expect_rc 0
run theirs push "$S/ours-signed.sif" library://alice/default/ours:signed
expect_rc 0
for file in ours theirs; do
    printf '\125' | dd of="$S/$file-signed.sif" bs=1 seek=$(($(stat -c %s "$S/$file-signed.sif") / 2)) conv=notrunc 2>/dev/null
    run theirs verify "$S/$file-signed.sif"
    [ "$RC" != 0 ] || fail "Apptainer takes the changed $file-signed.sif"
    run singularity verify "$S/$file-signed.sif"
    expect_rc 255
done

check "key rings are read by both"
ok singularity key remove --both "$OURS"
ok env "SINGULARITY_SYPGPDIR=$S/home/.apptainer/keys" singularity key list --secret
expect_out 'Bob Theirs'
cp "$S/other.sif" "$S/by-their-ring.sif"
echo secret | env "SINGULARITY_SYPGPDIR=$S/home/.apptainer/keys" singularity sign "$S/by-their-ring.sif" >/dev/null 2>&1 || fail "sign by their ring"
run theirs verify "$S/by-their-ring.sif"
expect_rc 0

check "PEM keys and certificates sign and verify both ways"
openssl genpkey -algorithm ed25519 -out "$S/ed25519.pem" 2>/dev/null
openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048 -out "$S/rsa.pem" 2>/dev/null
openssl genpkey -algorithm ec -pkeyopt ec_paramgen_curve:P-256 -out "$S/ec.pem" 2>/dev/null
for kind in ed25519 rsa ec; do
    openssl pkey -in "$S/$kind.pem" -pubout -out "$S/$kind.pub"
    cp "$S/image.sif" "$S/ours-$kind.sif"
    cp "$S/image.sif" "$S/theirs-$kind.sif"
    ok singularity sign --key "$S/$kind.pem" "$S/ours-$kind.sif"
    run theirs sign --key "$S/$kind.pem" "$S/theirs-$kind.sif"
    expect_rc 0
    for file in ours theirs; do
        run theirs verify --key "$S/$kind.pub" "$S/$file-$kind.sif"
        expect_rc 0
        ok singularity verify --key "$S/$kind.pub" "$S/$file-$kind.sif"
    done
done
openssl req -x509 -new -key "$S/ec.pem" -subj '/CN=root' -days 2 -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign -out "$S/root.crt" 2>/dev/null
openssl req -new -key "$S/rsa.pem" -subj '/CN=signer' 2>/dev/null |
    openssl x509 -req -CA "$S/root.crt" -CAkey "$S/ec.pem" -CAcreateserial -days 2 -extfile <(printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n') -out "$S/signer.crt" 2>/dev/null
for file in ours theirs; do
    run theirs verify --certificate "$S/signer.crt" --certificate-roots "$S/root.crt" "$S/$file-rsa.sif"
    expect_rc 0
    ok singularity verify --certificate "$S/signer.crt" --certificate-roots "$S/root.crt" "$S/$file-rsa.sif"
done

check "each logs the other out"
ok singularity remote logout
run theirs push -U "$S/other.sif" library://alice/default/more:v1
[ "$RC" != 0 ] || fail "Apptainer is logged in still"
stop_hub
finish
