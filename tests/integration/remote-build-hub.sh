# `build --remote` with a hub of ours that builds, behind nginx: from the definition to an image that runs here.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/builder.sh"
. "$SUPPORT/hub_nginx.sh"
need_tool nginx openssl
singularity plugin list | grep -q '^remote-build ' || skip "this build has no remote-build"

builder_image "$USER_HOME/builder.sif" || { fail "the builder image"; finish; }
configure "executor: local" "image: $USER_HOME/builder.sif" "time: 120" "memory: 4000000000" "disk: 2000000000" "processes: 400"
add_user alice
TOKEN=$(token_of alice)
mkdir "$T/certs" && bash "$SUPPORT/certificates.sh" "$T/certs"
export SSL_CERT_FILE=$T/certs/ca.crt CURL_CA_BUNDLE=$T/certs/ca.crt
PROXY=$(free_port)
hub_start --behind-proxy --url "https://localhost:$PROXY" || finish
nginx_before "${URL##*:}" "$PROXY" "$T/certs"
URL=https://localhost:$PROXY
mkdir -p "$HOME/.singularity"
cat >"$HOME/.singularity/remote.yaml" <<YAML
Active: site
Remotes:
  site:
    URI: ${URL#https://}
    Token: $TOKEN
    System: false
    Exclusive: false
YAML
chmod 600 "$HOME/.singularity/remote.yaml"
LIMIT=200

check "a definition with files of this machine is built there, and runs here"
mkdir -p data/sub
echo "from here" >data/file
echo deep >data/sub/deep
ln -s file data/link
cat >good.def <<'DEF'
Bootstrap: scratch

%setup
    mkdir -p "$SINGULARITY_ROOTFS/bin" "$SINGULARITY_ROOTFS/opt"
    cp -a /lib* "$SINGULARITY_ROOTFS/"
    for p in sh cat; do cp /usr/bin/$p "$SINGULARITY_ROOTFS/bin/"; done

%files
    data/f* /opt/
    data/sub /opt/sub
    data/link /opt/linked

%post
    echo "built with {{ WORD }}" >/opt/word

%runscript
    cat /opt/file /opt/sub/deep /opt/linked /opt/word
DEF
run singularity build --remote --build-arg WORD=care good.sif good.def
expect_rc 0
expect_out '^searching for available build agent'
run singularity run good.sif
expect_equal "$OUT" "$(printf 'from here\ndeep\nfrom here\nbuilt with care')"
expect_equal "$(find "$D/contexts" -type f | wc -l)" 0 "files of contexts that are left"

check "what fails there says so here, and leaves nothing"
printf 'Bootstrap: scratch\n%%setup\n    echo it fails\n    exit 3\n' >bad.def
run singularity build --remote bad.sif bad.def
expect_failure
expect_out 'it fails'
expect_err 'failed on the builder'
expect_absent bad.sif

check "into the library, at once or later"
run singularity build --remote --build-arg WORD=x library://alice/default/cow:v1 good.def
expect_rc 0
expect_equal "$(api - /v1/images/alice/default/cow:v1 | jq -r .data.uploaded)" true
run singularity build --remote --detached library://alice/default/later:v1 bad.def
expect_rc 0
expect_out "singularity pull --library $URL library://alice/default/later:v1"
PAGE=$(sed -n "s#^\t\($URL/build/.*\)#\1#p" "$T/out")
expect_equal "$(curl -sS -o page.html -w '%{http_code} %{content_type}' "$PAGE")" "200 text/html; charset=utf-8" "the page of the build, '$PAGE',"
BUILD=${PAGE##*/}
log_of "$TOKEN"
grep -q 'it fails' <<<"$LOG" || fail "the log of the detached build: $LOG"

check "Ctrl-C ends it there"
printf 'Bootstrap: scratch\n%%setup\n    echo it begins\n    sleep 1000.5\n' >slow.def
start "$T/slow.log" singularity build --remote slow.sif slow.def
until_says "$T/slow.log" "it begins"
kill -INT "$PID"
ended
grep -q 'was cancelled on the builder' "$T/slow.log" || fail "$(tail -n 3 "$T/slow.log")"
state_there() { api "$TOKEN" /api/builds | jq -r '.data[0].state'; }
for _ in $(seq 200); do
    [ "$(state_there)" = running ] || break
    sleep 0.1
done
expect_equal "$(state_there)" cancelled
expect_absent slow.sif

check "without a token there is no build, and the hint says how to get one"
rm "$HOME/.singularity/remote.yaml"
run singularity build --remote --builder "$URL" --library "$URL" no.sif bad.def
expect_failure
expect_err '401'
expect_err 'remote login'
hub_stop
kill "$NGINX"
finish
