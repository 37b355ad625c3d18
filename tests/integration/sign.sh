# Keys, signatures, verification.
. "$(dirname "$0")/../support/lib.sh"

ok singularity build lolcow.sif "oci:$IMAGES/tiny.oci"
I=$PWD/lolcow.sif
chmod 755 lolcow.sif

signing() {
    me cp "$I" "$WHO.sif"
    check "an unsigned image is told so"
    run me singularity verify --local "$WHO.sif"
    [ "$RC" != 0 ] || fail "an unsigned image was verified"
    expect_out "^Verifying image: $WHO.sif"
    expect_err '^ERROR:   verification failed: error while searching for signature blocks: no signatures found for system partition$'
    check "without a key there is nothing to sign with"
    run me singularity sign "$WHO.sif"
    expect_failure
    expect_err 'singularity key newpair'
    check "a key pair is made from answers, and kept to oneself"
    run me sh -c 'printf "Ann Test\nann@example.com\nfor tests\nse cret\nse cret\n" | singularity key newpair --bit-length 2048'
    expect_rc 0
    run me singularity key list --secret
    expect_out 'User: +Ann Test \(for tests\) <ann@example.com>'
    [ "$(stat -c %a "$(me sh -c 'echo $HOME')/.singularity/sypgp/pgp-secret")" = 600 ] || fail "others may read the secret keys"
    run me sh -c 'singularity key list --json | python3 -c "import json,sys; print(json.load(sys.stdin)[\"keys\"][0][\"bits\"])"'
    expect_equal "$OUT" 2048
    check "a wrong passphrase signs nothing and changes nothing"
    me cp "$WHO.sif" before
    run me sh -c "echo wrong | singularity sign $WHO.sif"
    expect_failure
    cmp -s before "$WHO.sif" || fail "the image was changed"
    check "the right one does"
    run me sh -c "echo 'se cret' | singularity sign $WHO.sif"
    expect_rc 0
    expect_out "^Signature created and applied to $WHO.sif"
    refuse_out 'se cret'
    refuse_err 'se cret'
    run me singularity verify --local "$WHO.sif"
    expect_rc 0
    expect_out '^\[LOCAL\]   Signing entity: Ann Test \(for tests\) <ann@example.com>'
    expect_out '^[0-9]+ *\|1 +\|NONE +\|JSON.Generic$'
    expect_out '^[0-9]+ *\|1 +\|NONE +\|FS$'
    run me sh -c "singularity verify --local --json $WHO.sif | python3 -c 'import json,sys; d=json.load(sys.stdin); s=d[\"SignerKeys\"][0][\"Signer\"]; print(d[\"Signatures\"], s[\"KeyLocal\"], s[\"DataCheck\"])'"
    expect_equal "$OUT" "1 True True"
    check "it still runs"
    run me singularity exec "$WHO.sif" true
    expect_rc 0
    check "a change of the image is found"
    me cp "$WHO.sif" changed.sif
    run me singularity sif add --datatype generic --groupid 1 changed.sif before
    expect_rc 0
    run me singularity verify --local changed.sif
    expect_rc 255
    expect_err 'object not signed'
    check "whoever lacks the key is told which"
    run me env SINGULARITY_KEYSDIR="$PWD/nokeys.$WHO" singularity verify --local "$WHO.sif"
    expect_rc 255
    expect_err 'is in no key ring'
    check "keys go from one ring to another by a file"
    run me singularity key export --ascii key.asc
    expect_rc 0
    grep -q 'BEGIN PGP PUBLIC' key.asc || fail "no armoured public key"
    run me env SINGULARITY_KEYSDIR="$PWD/nokeys.$WHO" singularity key import key.asc
    expect_rc 0
    run me env SINGULARITY_KEYSDIR="$PWD/nokeys.$WHO" singularity verify --local "$WHO.sif"
    expect_rc 0
    local fingerprint
    fingerprint=$(me singularity key list --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["keys"][0]["fingerprint"])')
    run me env SINGULARITY_KEYSDIR="$PWD/nokeys.$WHO" singularity key remove "$fingerprint"
    expect_rc 0
    run me env SINGULARITY_KEYSDIR="$PWD/nokeys.$WHO" singularity verify --local "$WHO.sif"
    expect_rc 255
    check "PEM keys of each kind sign"
    local kind
    for kind in ed25519 "rsa -pkeyopt rsa_keygen_bits:2048" "ec -pkeyopt ec_paramgen_curve:P-256"; do
        # shellcheck disable=SC2086
        me openssl genpkey -quiet -algorithm $kind -out private.pem 2>/dev/null || me openssl genpkey -algorithm $kind -out private.pem 2>/dev/null
        me openssl pkey -in private.pem -pubout -out public.pem
        me cp "$I" pem.sif
        run me singularity sign --key private.pem pem.sif
        expect_rc 0
        run me singularity verify --key public.pem pem.sif
        expect_rc 0
        run me singularity verify --local pem.sif
        expect_rc 255
        expect_err '\-\-key FILE'
    done
    check "a certificate must be for code signing, valid, and lead to a trusted one"
    me sh -c 'openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 2
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout me.key -out me.csr -subj /CN=me
        printf "extendedKeyUsage=codeSigning\n" >ext; printf "extendedKeyUsage=serverAuth\n" >ext2
        openssl x509 -req -in me.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out me.pem
        openssl x509 -req -in me.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext2 -out server.pem' >/dev/null 2>&1
    me cp "$I" cert.sif
    run me singularity sign --key me.key cert.sif
    expect_rc 0
    run me singularity verify --certificate me.pem --certificate-roots ca.pem cert.sif
    expect_rc 0
    run me singularity verify --certificate me.pem cert.sif
    expect_failure
    run me singularity verify --certificate server.pem --certificate-roots ca.pem cert.sif
    expect_failure
    expect_err 'not for code signing'
    check "wrong input is refused"
    run me singularity verify none.sif
    expect_failure
    run me singularity verify
    expect_rc 1
    run me singularity sign --sif-id 99 "$WHO.sif"
    expect_failure
    run me singularity key pull nonsense
    expect_rc 1
    run me singularity key
    expect_out 'newpair'
}
each_user signing
finish
