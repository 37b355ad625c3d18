# Encrypted images: made and run by whoever has the key, as root and as an ordinary user; gocryptfs reads what we make.
. "$(dirname "$0")/../support/lib.sh"
need_tool openssl
ok singularity build --sandbox tree "oci:$IMAGES/tiny.oci"
echo amd64 >tree/arch
ok singularity build "$T/w/plain.sif" tree
openssl genrsa -traditional -out "$T/w/private.pem" 2048 2>/dev/null || skip "openssl makes no key"
openssl rsa -in "$T/w/private.pem" -RSAPublicKey_out -out "$T/w/public.pem" 2>/dev/null
openssl genrsa -traditional -out "$T/w/other.pem" 2048 2>/dev/null
openssl rsa -aes128 -passout pass:x -in "$T/w/private.pem" -out "$T/w/locked.pem" 2>/dev/null
chmod 644 "$T"/w/*.pem "$T/w/plain.sif"
with_passphrase() { env SINGULARITY_ENCRYPTION_PASSPHRASE="$1" "${@:2}"; }

both_keys() {
    if [ "$WHO" = user ] && [ $FUSE_FOR_USERS = no ]; then note "no /dev/fuse for users here"; return; fi
    check "an image encrypted with a passphrase runs with it, and with no other"
    run me env SINGULARITY_ENCRYPTION_PASSPHRASE=secret singularity build --encrypt p.sif "$T/w/plain.sif"
    expect_rc 0
    run me env SINGULARITY_ENCRYPTION_PASSPHRASE=secret singularity exec p.sif cat /arch
    expect_rc 0
    expect_equal "$OUT" amd64
    run me env APPTAINER_ENCRYPTION_PASSPHRASE=secret singularity exec p.sif cat /arch
    expect_rc 0
    run me env SINGULARITY_ENCRYPTION_PASSPHRASE=Secret singularity exec p.sif cat /arch
    expect_rc 255
    expect_err 'p\.sif.*the passphrase or key is not the right one'
    run me singularity exec p.sif cat /arch
    expect_rc 255
    expect_err 'p\.sif.*is encrypted with a passphrase'
    expect_err '--passphrase asks for it'

    check "one encrypted for a public key runs with the private one alone"
    run me singularity build --pem-path "$T/w/public.pem" k.sif "$T/w/plain.sif"
    expect_rc 0
    run me singularity exec --pem-path "$T/w/private.pem" k.sif cat /arch
    expect_rc 0
    expect_equal "$OUT" amd64
    run me env SINGULARITY_ENCRYPTION_PEM_PATH="$T/w/private.pem" singularity exec k.sif cat /arch
    expect_rc 0
    run me env SINGULARITY_ENCRYPTION_PEM_DATA="$(cat "$T/w/private.pem")" singularity exec k.sif cat /arch
    expect_rc 0
    run me singularity exec --pem-path "$T/w/other.pem" k.sif cat /arch
    expect_rc 255
    expect_err 'with the key of .*other\.pem: the RSA key is not the one that the image was encrypted for'
    for wrong in public locked; do
        run me singularity exec --pem-path "$T/w/$wrong.pem" k.sif cat /arch
        expect_rc 255
        expect_err "$wrong\\.pem: the PEM text holds no private RSA key"
    done
    run me singularity exec --pem-path "$T/w/missing.pem" k.sif cat /arch
    expect_rc 255
    expect_err 'cannot open the key .*missing\.pem'
    run me singularity exec k.sif cat /arch
    expect_rc 255
    expect_err 'k\.sif.*is encrypted for an RSA key'

    check "the passphrase is in no container"
    run me env SINGULARITY_ENCRYPTION_PASSPHRASE=secret singularity exec p.sif env
    expect_rc 0
    refuse_out 'secret'

    check "a definition is built and tested for a public key, and an encrypted base is read"
    printf 'Bootstrap: localimage\nFrom: k.sif\n%%files\n    note /note\n%%test\n    grep -q kept /note\n' >k.def
    echo kept >note
    run me env SINGULARITY_ENCRYPTION_PEM_PATH="$T/w/private.pem" singularity build --encrypt d.sif k.def
    expect_rc 0
    run me singularity exec --pem-path "$T/w/private.pem" d.sif cat /note
    expect_rc 0
    expect_equal "$OUT" kept
    run me singularity build d2.sif d.sif
    expect_rc 255
    expect_absent d2.sif

    check "with a public key alone the test of what was built runs as well"
    printf 'Bootstrap: localimage\nFrom: %s\n%%files\n    note /note\n%%test\n    grep -q kept /note\n' "$T/w/plain.sif" >t.def
    run me singularity build --pem-path "$T/w/public.pem" t.sif t.def
    expect_rc 0
    expect_err 'Running testscript'

    check "a changed byte is found, and nothing is shown of it"
    cp p.sif changed.sif
    [ "$WHO" = root ] || chown $USER_ID changed.sif 2>/dev/null
    offset=$(($(stat -c %s p.sif) / 2))
    printf 'X' | dd of=changed.sif bs=1 seek=$offset conv=notrunc 2>/dev/null
    run me env SINGULARITY_ENCRYPTION_PASSPHRASE=secret singularity build --sandbox changed changed.sif
    expect_rc 255
    expect_absent changed
    expect_err 'changed|damaged'
}
each_user both_keys

check "what cannot be encrypted is refused before anything is made"
run with_passphrase secret singularity build --encrypt --sandbox sandbox plain.sif
expect_rc 1
expect_err 'the format sandbox cannot be encrypted'
run singularity build --encrypt none.sif plain.sif
expect_rc 1
expect_err 'encryption needs a key'
expect_absent none.sif
expect_absent sandbox

check "inspect and list say what they can without the key"
made=both_keys.root/p.sif
[ -e "$made" ] || made=both_keys.user/p.sif
run singularity sif list "$made"
expect_out 'Gocryptfs squashfs/\*System/amd64'

if [ "$(id -u)" = 0 ] && command -v gocryptfs >/dev/null && command -v unsquashfs >/dev/null && [ $FUSE_FOR_USERS = yes ]; then
    check "gocryptfs reads what we encrypt"
    id=$(singularity sif list both_keys.root/p.sif | awk -F'|' '/Gocryptfs/ {print $1 + 0}')
    ok_run() { "$@" >/dev/null 2>&1 || fail "$*"; }
    singularity sif dump "$id" both_keys.root/p.sif >outer.sqfs
    ok_run unsquashfs -d cipher outer.sqfs
    mkdir -p clear
    echo secret >password
    ok_run gocryptfs -q -ro -passfile password cipher clear
    ok_run unsquashfs -d clear-tree clear/squashfs-image
    expect_equal "$(cat clear-tree/arch)" amd64
    umount clear
else
    note "no gocryptfs here"
fi
finish
