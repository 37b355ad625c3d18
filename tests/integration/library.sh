# library://: pull, run, build, push, search, delete against a hub, and against servers that do what none should.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/hub.sh"
baseline

D=$T/hub
hub_user alice "$D"
ALICE=$TOKEN
hub_user bob "$D" --quota 200000
BOB=$TOKEN
READER=$(singularity hub user token alice --scopes read --data "$D")
start_hub "$D"
HUB_URL=$URL

ok singularity build "$T/one.sif" "oci:$IMAGES/full.oci:latest"
ok singularity build "$T/two.sif" "oci:$IMAGES/tiny.oci"
cp "$T/one.sif" "$T/signed.sif"
printf 'Ann Test\nann@example.com\nfor tests\nse cret\nse cret\n' | singularity key newpair --bit-length 2048 >/dev/null 2>&1 || fail newpair
echo 'se cret' | singularity sign "$T/signed.sif" >/dev/null 2>&1 || fail sign
PRINT=$(singularity key list | sed -n 's/^ *Fingerprint: *//p')
ok singularity key export "$T/ann.asc"
# One byte of the root file system, in the middle of the file.
cp "$T/signed.sif" "$T/changed.sif"
printf '\125' | dd of="$T/changed.sif" bs=1 seek=$(($(stat -c %s "$T/changed.sif") / 2)) conv=notrunc 2>/dev/null
! cmp -s "$T/signed.sif" "$T/changed.sif" || fail "nothing was changed"
# More than the 64 MiB that go in one piece; made of noise, so that each part is another.
cp "$T/two.sif" "$T/big.sif"
head -c 80000000 /dev/urandom >noise
ok singularity sif add --datatype generic --filename noise "$T/big.sif" noise
rm noise
chmod 644 "$T"/*.sif "$T/ann.asc"
SUM=$(sha256sum <"$T/signed.sif" | cut -d ' ' -f 1)

login() { echo "$1" | me singularity remote login >/dev/null 2>&1 || fail "login"; }

travels() {
    local name=alice/$WHO/one
    [ "$WHO" = root ] || ok me singularity key import "$T/ann.asc"
    ok me singularity remote add --no-login --insecure site "$URL"

    check "who is not logged in pushes nothing"
    run me singularity push "$T/signed.sif" "library://$name:v1"
    expect_failure
    expect_err 'a token is needed to push'
    expect_err 'singularity remote login'

    check "a push makes what is missing, and sets all tags"
    login "$ALICE"
    run me singularity push --description "fortune and cow of $WHO" "$T/signed.sif" "library://$name:v1,latest"
    expect_rc 0
    expect_err "^INFO:    The image is signed by $PRINT\$"
    expect_err '^INFO:    Now uploading signed.sif to the library$'
    expect_err '^INFO:    Setting tag v1$'
    expect_err '^INFO:    Setting tag latest$'
    expect_out '^Library storage: using .* out of unlimited quota$'
    expect_out "^Container URL: $URL/library/$name$"
    run me singularity push "$T/signed.sif" "library://$name:v2"
    expect_rc 0
    expect_err '^INFO:    Image is already present in the library - not uploading\.$'

    check "what is not signed is not pushed, unless one says so"
    run me singularity push "$T/one.sif" "library://$name:unsigned"
    expect_failure
    expect_err 'image is not signed'
    run me singularity push -U "$T/one.sif" "library://$name:unsigned"
    expect_rc 0
    expect_err '^WARNING: Skipping container verification$'

    check "what was changed after it was signed, or is signed by an unknown key, is not pushed either"
    run me singularity push "$T/changed.sif" "library://$name:changed"
    expect_failure
    expect_err 'changed.sif": no key that is known here has signed all of the image as it is'
    expect_err 'singularity verify'
    run me env "SINGULARITY_SYPGPDIR=$PWD/no-ring" "SINGULARITY_CACHEDIR=$PWD/no-cache" singularity push "$T/signed.sif" "library://$name:stranger"
    expect_failure
    expect_err 'no key that is known here'
    run me singularity pull "library://$name:changed"
    expect_err 'image does not exist in the library'

    check "a pull gives the same file"
    run me singularity pull "library://$name:v1"
    expect_rc 0
    refuse_err WARNING
    expect_same_file one_v1.sif "$T/signed.sif"
    run me singularity pull by-hash.sif "library://$name:sha256.$SUM"
    expect_rc 0
    expect_same_file by-hash.sif "$T/signed.sif"
    run me singularity pull "library://$name:unsigned"
    expect_rc 0
    expect_err '^WARNING: Skipping container verification: .* is not signed'
    run me singularity pull --force -U "library://$name:unsigned"
    expect_rc 0
    refuse_err WARNING
    run me singularity pull --set library.download_part_size=65536 --set library.download_concurrency=5 parts.sif "library://$name"
    expect_rc 0
    expect_same_file parts.sif "$T/signed.sif"
    run me singularity pull --set library.download_concurrency=1 single.sif "library://$name"
    expect_rc 0
    expect_same_file single.sif "$T/signed.sif"

    check "an image is run from the cache the second time"
    run me singularity exec "library://$name" cat /etc/motd
    expect_rc 0
    expect_equal "$OUT" "layer two"
    local cached
    cached=$(me sh -c 'find ~/.singularity/cache/library -name "one_latest.sif"')
    case $cached in */cache/library/"$SUM"/one_latest.sif) ;; *) fail "cached as $cached" ;; esac
    run me singularity --verbose exec "library://$name" cat /etc/motd
    expect_equal "$OUT" "layer two"
    refuse_err Downloading
    run me singularity cache list
    expect_out 'container file'

    check "a definition file begins with an image of the Library"
    printf 'Bootstrap: library\nFrom: %s:v1\nLibrary: %s\n%%labels\n  made from-library\n' "$name" "$URL" >x.def
    run me singularity build --force x.sif x.def
    expect_rc 0
    run me singularity inspect --labels x.sif
    expect_out from-library
    run me singularity build --force copy.sif "library://$name:v1"
    expect_rc 0

    check "a Library is named by its host, by --library and by the environment"
    ok me singularity pull --no-https by-host.sif "library://127.0.0.1:$PORT/$name"
    ok me singularity remote use SylabsCloud
    ok me singularity pull --library "$URL" by-option.sif "library://$name"
    ok me env "SINGULARITY_LIBRARY=$URL" singularity pull by-variable.sif "library://$name"
    run me singularity pull --library "$URL" two.sif "library://other.example.org/$name"
    expect_failure 1
    expect_err 'two Libraries are named'
    ok me singularity remote use site

    check "a search finds it, and says where it looked"
    run me singularity search "cow of $WHO"
    expect_rc 0
    expect_out "^Found 2 container images for amd64 matching \"cow of $WHO\":$"
    expect_out "library://$name:latest,v1,v2$"
    expect_out "fortune and cow of $WHO$"
    expect_out 'Signed by: [0-9A-F]{40}$'
    expect_err 'Docker Hub and other registries are not searched'
    run me singularity search --arch arm64 "cow of $WHO"
    expect_out '^No container images found for arm64'
    run me singularity search ab
    expect_failure 1
    expect_err 'at least 3 characters'
    run me singularity search --signed "cow of $WHO"
    expect_out '^Found 1 container images'
    refuse_out unsigned

    check "what goes in parts comes out whole"
    run me singularity push -U "$T/big.sif" "library://alice/$WHO/big"
    expect_rc 0
    run me singularity pull big.sif "library://alice/$WHO/big"
    expect_rc 0
    expect_same_file big.sif "$T/big.sif"
    rm big.sif

    check "a deletion is asked for, and done"
    run me sh -c "echo n | singularity delete library://$name:unsigned"
    expect_rc 0
    expect_err 'Are you sure you want to delete'
    run me singularity delete --force "library://$name:unsigned"
    expect_rc 0
    expect_err "^INFO:    Image $name:unsigned \(amd64\) deleted\.$"
    run me singularity pull gone.sif "library://$name:unsigned"
    expect_failure
    expect_err "image does not exist in the library: $name:unsigned \(amd64\)"
    expect_absent gone.sif
    run me singularity delete -F "library://$name:unsigned"
    expect_failure

    check "no token is told to anybody"
    run me singularity --debug push "$T/signed.sif" "library://$name:v1"
    expect_rc 0
    refuse_err "$ALICE"
    run me singularity --debug pull --force "library://$name:v1"
    refuse_err "$ALICE"
}
each_user travels

check "what is private is there for its owner alone"
# The pages make private collections; here the interface does.
python3 "$SUPPORT/hub_client.py" "$URL" push "$ALICE" alice/secret/one "$T/signed.sif" v1 >/dev/null || fail "private push"
login "$ALICE"
ok singularity pull private.sif library://alice/secret/one:v1
login_as() { singularity remote logout >/dev/null 2>&1; login "$1"; }
login_as "$BOB"
run singularity pull nothing.sif library://alice/secret/one:v1
expect_failure
expect_err 'image does not exist in the library'
ok singularity remote logout
run singularity pull nothing.sif library://alice/secret/one:v1
expect_failure
expect_err 'A private image needs a login'
run singularity pull --force public.sif library://alice/root/one:v1
expect_rc 0
expect_err '^WARNING: Authentication token file not found : Only pulls of public images will succeed$'

check "others' entities, quotas and tokens that only read are respected, and told"
login_as "$BOB"
run singularity push "$T/signed.sif" library://alice/default/stolen
expect_failure
expect_err 'HTTP status 403'
run singularity push "$T/signed.sif" library://bob/default/large
expect_failure
expect_err 'HTTP status 413'
expect_err 'quota'
run singularity delete -F library://alice/root/one:v1
expect_failure
login_as "$READER"
run singularity push "$T/signed.sif" library://alice/default/readonly
expect_failure
expect_err 'HTTP status 403'
login_as "$ALICE"

check "what cannot be pushed, and where to"
for words in "$T/signed.sif library://one" "$T/signed.sif library://alice/default/UPPER" "$T/signed.sif library://alice/default/one:sha256.$SUM" "$T/nothing.sif library://alice/default/one" \
    "$SG_SOURCE/README.md library://alice/default/one"; do
    # shellcheck disable=SC2086
    run singularity push $words
    [ "$RC" != 0 ] || fail "taken: $words"
    expect_err '^FATAL:   '
done

# ---- Servers that do what none should ----------------------------------------------------------------

fault() { # NAME
    rm -f "$T/port" "$T/port.log"
    [ -z "${FAULTY:-}" ] || { kill "$FAULTY" && wait "$FAULTY" 2>/dev/null; }
    python3 "$SUPPORT/faulty-library.py" "$HUB_URL" "$1" "$T/port" >"$T/faulty.err" 2>&1 &
    FAULTY=$!
    for _ in $(seq 200); do
        [ ! -s "$T/port" ] || break
        read -rt 0.05 <> <(:) || :
    done
    FAULT=http://127.0.0.1:$(cat "$T/port")
}
NAME=library://alice/root/one:v1
refused() { # FAULT TEXT
    check "$1: nothing is kept"
    fault "$1"
    rm -f bad.sif
    run singularity pull --disable-cache --set library.download_part_size=100000 --library "$FAULT" bad.sif $NAME
    expect_failure
    expect_err "$2"
    expect_absent bad.sif
    run env "SINGULARITY_CACHEDIR=$T/bad-cache" singularity exec --library "$FAULT" $NAME true
    expect_failure
    [ -z "$(find "$T/bad-cache" -name '*.sif' 2>/dev/null)" ] || fail "something is cached"
}
refused wrong-bytes 'digest|sha256'
refused wrong-hash 'not found in the library|digest'
refused short 'network|ended|early|bytes|closed|connection'
refused odd 'is not a string'
refused no-json 'is not JSON'
refused climbs 'odd id'

check "what a Library says of its image stands for no image of another"
fault same-key
run env "SINGULARITY_CACHEDIR=$T/two-libraries" singularity pull --library "$FAULT" theirs.sif $NAME
run env "SINGULARITY_CACHEDIR=$T/two-libraries" singularity exec --library "$FAULT" $NAME true
ok env "SINGULARITY_CACHEDIR=$T/two-libraries" singularity pull --library "$HUB_URL" ours.sif $NAME
expect_same_file ours.sif "$T/signed.sif"
rm -f theirs.sif ours.sif

check "a connection that breaks is taken up again"
fault breaks
run singularity pull --disable-cache --set library.download_part_size=100000 --set library.download_concurrency=1 --library "$FAULT" again.sif $NAME
expect_rc 0
expect_same_file again.sif "$T/signed.sif"

check "a server without ranges gives the whole"
fault no-ranges
run singularity pull --disable-cache --set library.download_part_size=100000 --library "$FAULT" whole.sif $NAME
expect_rc 0
expect_same_file whole.sif "$T/signed.sif"

check "another host that the Library leads to gets no token"
fault redirect
ok singularity remote add --no-login --insecure redirecting "$FAULT"
login "$ALICE"
run singularity pull --disable-cache --set library.download_part_size=100000 led.sif library://alice/secret/one:v1
[ -s "$T/port.log" ] || fail "nobody was led there"
! grep -v 'authorization=None' "$T/port.log" || fail "the token went there"
run singularity pull --disable-cache --force --set library.download_part_size=100000 led.sif $NAME
expect_rc 0
expect_same_file led.sif "$T/signed.sif"

check "a Library with the first version of uploads is good enough"
fault v1
ok singularity remote add --no-login --insecure first "$FAULT"
login "$ALICE"
ok singularity push -U "$T/two.sif" library://alice/default/by-v1
ok singularity pull by-v1.sif library://alice/default/by-v1
expect_same_file by-v1.sif "$T/two.sif"

check "an upload is led to no socket of this machine"
fault socket
ok singularity remote add --no-login --insecure leading "$FAULT"
login "$ALICE"
run singularity push -U "$T/one.sif" library://alice/default/led
expect_failure
expect_err 'no http or https address'

check "a part that fails is sent again"
fault parts-fail
ok singularity remote add --no-login --insecure failing "$FAULT"
login "$ALICE"
printf x | dd of="$T/big.sif" bs=1 seek=$(($(stat -c %s "$T/big.sif") - 10)) conv=notrunc 2>/dev/null
ok singularity push -U "$T/big.sif" library://alice/default/parts
ok singularity pull parts-again.sif library://alice/default/parts
expect_same_file parts-again.sif "$T/big.sif"
rm parts-again.sif

ok singularity remote use site

check "a pull that is interrupted leaves nothing"
ok singularity push -U "$T/big.sif" library://alice/default/slow
fault slow
for signal in INT TERM KILL; do
    start "$T/pull.out" singularity pull --library "$FAULT" slow.sif library://alice/default/slow
    until_says "$T/pull.out" Downloading
    kill -$signal "$PID"
    ended
    [ "$RC" != 0 ] || fail "SIG$signal did not end it"
    expect_absent slow.sif
done

check "a push that is interrupted leaves nothing to see, and can be done again"
printf y | dd of="$T/big.sif" bs=1 seek=$(($(stat -c %s "$T/big.sif") - 10)) conv=notrunc 2>/dev/null
for signal in INT KILL; do
    start "$T/push.out" singularity --verbose push -U "$T/big.sif" library://alice/default/cut
    until_says "$T/push.out" 'Now uploading'
    kill -$signal "$PID"
    ended
    [ "$RC" != 0 ] || fail "SIG$signal did not end it"
    run singularity pull cut.sif library://alice/default/cut
    expect_failure
done
ok singularity push -U "$T/big.sif" library://alice/default/cut
ok singularity pull cut.sif library://alice/default/cut
expect_same_file cut.sif "$T/big.sif"

kill "$FAULTY"
wait "$FAULTY" 2>/dev/null
stop_hub
finish
