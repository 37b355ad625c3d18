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

# sif_of VOLUME SIF: as Apptainer's `build --encrypt` of root leaves it: the volume is the primary partition, of type 5.
sif_of() {
    rm -f "$2"
    ok singularity sif new "$2"
    ok singularity sif add --datatype 4 --partfs 5 --parttype 2 --partarch amd64 "$2" "$1"
}
luks_volumes() {
    if [ "$WHO" = user ] && [ $FUSE_FOR_USERS = no ]; then note "no /dev/fuse for users here"; return; fi
    check "volumes of LUKS2, which Apptainer makes as root, are read by anybody with the key"
    local kdf
    for kdf in argon2id argon2i pbkdf2; do
        run me env SINGULARITY_ENCRYPTION_PASSPHRASE=secret singularity exec "$T/w/$kdf.sif" cat /arch
        expect_rc 0
        expect_equal "$OUT" amd64 "$kdf"
        run me env SINGULARITY_ENCRYPTION_PASSPHRASE=Secret singularity exec "$T/w/$kdf.sif" cat /arch
        expect_failure
        expect_err "$kdf\\.sif.*the passphrase or key is not the right one"
    done
    run me singularity exec "$T/w/pbkdf2.sif" cat /arch
    expect_failure
    expect_err 'is encrypted with a passphrase'
    if [ $MADE_BY_CRYPTSETUP = yes ]; then
        check "volumes that cryptsetup formats are read"
        for sector in 512 4096; do
            run me env SINGULARITY_ENCRYPTION_PASSPHRASE=secret singularity exec "$T/w/made-$sector.sif" cat /arch
            expect_rc 0
            expect_equal "$OUT" amd64 "sectors of $sector bytes"
            run me env SINGULARITY_ENCRYPTION_PASSPHRASE=Secret singularity exec "$T/w/made-$sector.sif" cat /arch
            expect_failure
        done
    fi
    check "one whose first header is damaged has a second"
    run me env SINGULARITY_ENCRYPTION_PASSPHRASE=secret singularity exec "$T/w/broken-first.sif" cat /arch
    expect_rc 0
    expect_equal "$OUT" amd64
    check "one for an RSA key: 64 random bytes are its passphrase"
    run me singularity exec --pem-path "$T/w/private.pem" "$T/w/rsa.sif" cat /arch
    expect_rc 0
    expect_equal "$OUT" amd64
    run me singularity exec --pem-path "$T/w/other.pem" "$T/w/rsa.sif" cat /arch
    expect_failure
    check "what it holds can be taken into an image of our own"
    run me env SINGULARITY_ENCRYPTION_PASSPHRASE=secret singularity build --sandbox tree.luks "$T/w/pbkdf2.sif"
    expect_rc 0
    expect_equal "$(cat tree.luks/arch)" amd64
    rm -rf tree.luks
}
if [ -e "/usr/lib/$(uname -m)-linux-gnu/libargon2.so.1" ] && command -v python3 >/dev/null; then
    singularity sif dump "$(singularity sif list plain.sif | awk -F'|' '/Squashfs/ {print $1 + 0}')" plain.sif >inner.sqfs
    printf secret >secret
    # Every byte may be in it, and NUL.
    { head -c 30 /dev/urandom; printf '\0\n'; head -c 32 /dev/urandom; } >random
    for kdf in argon2id argon2i pbkdf2; do
        ok python3 "$SUPPORT/luks.py" inner.sqfs $kdf.luks secret $kdf
        if [ $kdf != argon2i ] && command -v cryptsetup >/dev/null; then
            check "cryptsetup takes what the test makes for its own"
            ok cryptsetup open --test-passphrase --key-file secret $kdf.luks
        fi
        sif_of $kdf.luks $kdf.sif
    done
    # Headers that cryptsetup itself writes, as Apptainer's root has it do; only the data is put in without the kernel.
    MADE_BY_CRYPTSETUP=no
    for sector in 512 4096; do
        truncate -s 17M made.luks
        command -v cryptsetup >/dev/null && cryptsetup luksFormat --batch-mode --type luks2 --key-file secret --sector-size $sector --pbkdf-memory 8192 --pbkdf-force-iterations 4 made.luks 2>"$T/err" &&
            cryptsetup luksDump --batch-mode --dump-volume-key --volume-key-file made.key --key-file secret made.luks >/dev/null 2>"$T/err" ||
            { note "no cryptsetup that formats a file here: $(head -n 1 "$T/err")"; break; }
        ok python3 "$SUPPORT/luks.py" --into made.luks made.key inner.sqfs
        sif_of made.luks made-$sector.sif
        MADE_BY_CRYPTSETUP=yes
        rm -f made.key
    done
    ok python3 "$SUPPORT/luks.py" inner.sqfs broken.luks secret pbkdf2 4096 broken-first
    sif_of broken.luks broken-first.sif
    ok python3 "$SUPPORT/luks.py" inner.sqfs rsa.luks random pbkdf2 4096
    sif_of rsa.luks rsa.sif
    openssl rsa -in private.pem -pubout -out spki.pem 2>/dev/null
    # The key goes in one piece; 0x0482 and the length begin a DER octet string of 256 bytes.
    { printf '\4\202\1\0'; openssl pkeyutl -encrypt -pubin -inkey spki.pem -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256 -in random; } >message.der
    { echo '-----BEGIN MESSAGE-----'; base64 -w 64 message.der; echo '-----END MESSAGE-----'; } >message.pem
    ok singularity sif add --datatype message --message-format 2 --message-type 512 --link 1 rsa.sif message.pem
    chmod 644 ./*.sif
    rm -f ./*.luks inner.sqfs
    each_user luks_volumes
    check "a hostile header ends with a message, and asks for no machine's whole memory"
    for change in 's/"memory":1024/"memory":9999999999/' 's/"time":4/"time":999999999/' 's/aes-xts-plain64","sector/aes-cbc-essiv64","sector/' 's/"stripes":4000/"stripes":9999/' 's/"offset":"32768"/"offset":"999999999999"/' 's/"dynamic"/"99999999999999"/'; do
        python3 - argon2id.sif hostile.sif "$change" <<'P'
import hashlib, re, sys
data = bytearray(open(sys.argv[1], "rb").read())
_, old, new, _ = sys.argv[3].split("/")
at = data.find(b"LUKS\xba\xbe")
for start, magic in ((at, b"LUKS"), (at + 16384, b"SKUL")):
    assert data[start : start + 4] == magic
    text = bytes(data[start + 4096 : start + 16384]).rstrip(b"\0")
    assert old.encode() in text, (old, text)
    data[start + 4096 : start + 16384] = text.replace(old.encode(), new.encode()).ljust(12288, b"\0")
    data[start + 448 : start + 512] = bytes(64)
    data[start + 448 : start + 480] = hashlib.sha256(data[start : start + 16384]).digest()
open(sys.argv[2], "wb").write(data)
P
        run with_passphrase secret singularity exec hostile.sif true
        expect_failure
        expect_err 'hostile\.sif'
    done
else
    note "no libargon2 or python3: volumes of LUKS2 are not tried"
fi

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
