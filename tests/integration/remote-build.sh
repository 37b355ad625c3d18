# `build --remote` with a builder that does what it is told to, faults included.
. "$(dirname "$0")/../support/lib.sh"
need_tool python3
singularity plugin list | grep -q '^remote-build ' || skip "this build has no remote-build"

head -c 300000 /dev/urandom >"$T/image"
mkdir "$T/asked"
start "$T/builder.log" python3 "$SUPPORT/fake-builder.py" "$T/image" "$T/asked"
BUILDER=$PID
until_says "$T/builder.log" '^port ' || finish
AT=http://127.0.0.1:$(sed -n 's/^port //p' "$T/builder.log")
REF=library://remote-builds/rb-5f0e1c2d3b4a596877665544:latest
asked() { cat "$T/asked/requests"; }
forget() { rm -f "$T"/asked/*; : >"$T/asked/requests"; chmod -R a+rwX "$T/asked"; }
of_build() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1])).get(sys.argv[2], ""))' "$T/asked/build.json" "$1"; }
remote() { local fault=$1; shift; run me singularity build --remote --builder "$AT/$fault" --library "$AT/$fault" "$@"; }

simple() {
    forget
    check "a URI is built there: the log is shown, and the image is the builder's"
    remote ok x.sif docker://godlovedc/lolcow
    expect_rc 0
    expect_equal "$OUT" "$(printf 'searching for available build agent.........\nINFO:    Starting build...\nINFO:    Build complete: /tmp/image')"
    expect_err '^INFO: +Build complete: x.sif$'
    expect_same_file "$T/image" x.sif
    expect_equal "$(of_build definition)" "$(printf 'Bootstrap: docker\nFrom: godlovedc/lolcow')"
    expect_equal "$(of_build builderRequirements)" "{'arch': '$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')'}"
    expect_equal "$(of_build libraryURL)" "$AT/ok"
    expect_equal "$(asked | grep -c build-context)" 0 "contexts"

    check "what is there is replaced only with --force, and nobody is asked for before"
    forget
    remote ok x.sif docker://godlovedc/lolcow
    expect_failure
    expect_err 'x.sif exists'
    expect_equal "$(asked)" ""
    echo old >x.sif
    remote ok --force --arch arm64 x.sif docker://godlovedc/lolcow
    expect_rc 0
    expect_same_file "$T/image" x.sif
    expect_equal "$(of_build builderRequirements)" "{'arch': 'arm64'}"
    [ -x x.sif ] || fail "the image cannot be executed"
    expect_equal "$(find . -name '.*' -type f)" "" "leftovers"
}
each_user simple

files() {
    forget
    check "a definition goes with its files, its arguments put in, and the files are removed afterwards"
    mkdir -p data/sub && echo one >data/a.txt && echo two >data/b.txt && echo deep >data/sub/c && ln -s a.txt data/link
    cat >x.def <<'DEF'
Bootstrap: docker
From: {{ BASE }}
Stage: first

%files
    data/*.txt /opt/
    "data/link" /opt/link

Bootstrap: docker
From: alpine

%files from first
    /opt/a.txt /opt/b.txt
%files
    data/sub
%appfiles tool
    data/a.txt
DEF
    remote ok --build-arg BASE=busybox y.sif x.def
    expect_rc 0
    expect_same_file "$T/image" y.sif
    [[ $(of_build definition) == *"from: busybox"* ]] || fail "the argument is not in the definition: $(of_build definition)"
    expect_equal "$(of_build workingDir)" "$PWD"
    here=${PWD#/}
    expect_equal "$(tar tzf "$T/asked/context.tar.gz" | sort | tr '\n' ' ')" "$here/data/a.txt $here/data/b.txt $here/data/link $here/data/sub/ $here/data/sub/c "
    expect_equal "$(tar xzOf "$T/asked/context.tar.gz" "$here/data/sub/c")" deep
    expect_equal "$(asked | sed 's/sha256.*/sha256/' | tr '\n' ';')" "POST /ok/v1/build-context;PUT /ok/upload/1;POST /ok/v1/build;GET /ok/v1/build-ws/5f0e1c2d3b4a596877665544;GET /ok/v1/build/5f0e1c2d3b4a596877665544;DELETE /ok/v1/build-context/sha256;GET /ok/v1/imagefile/remote-builds/rb-5f0e1c2d3b4a596877665544:latest?arch=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/');"
    expect_equal "$(of_build contextDigest)" "sha256.$(sha256sum <"$T/asked/context.tar.gz" | cut -d ' ' -f 1)"
    forget
    remote known --build-arg BASE=busybox --force y.sif x.def
    expect_rc 0
    expect_absent "$T/asked/context.tar.gz"

    check "a missing file or argument ends it before anything is sent"
    forget
    rm data/a.txt data/b.txt
    remote ok --build-arg BASE=busybox --force y.sif x.def
    expect_failure
    expect_err 'no file matches data/\*.txt'
    remote ok --force y.sif x.def
    expect_failure
    expect_err 'x.def:2:.*BASE'
    expect_equal "$(asked)" ""
}
each_user files

check "a target in the library is left there"
forget
remote ok library://me/default/lolcow:v1 docker://alpine
expect_rc 0
expect_err 'INFO: +Build complete: library://'
expect_equal "$(of_build libraryRef)" library://me/default/lolcow:v1
refute() { ! asked | grep -q "$1" || fail "$1 was asked for"; }
refute imagefile
remote ok library://lolcow docker://alpine
expect_failure 1

check "--detached prints how to get the image, and waits for nothing"
forget
remote ok --detached z.sif docker://alpine
expect_rc 0
expect_equal "$OUT" "$(printf 'Build submitted! Once it is complete, the image can be retrieved by running:\n\tsingularity pull --library %s %s' "$AT/ok" "$REF")"
refute build-ws
expect_absent z.sif
remote ok --detached library://me/default/lolcow:v1,latest docker://alpine
expect_out 'library://me/default/lolcow:v1,latest$'

check "the log goes on where a connection broke, and is cleaned of what steers a terminal"
remote cut cut.sif docker://alpine
expect_rc 0
expect_equal "$(wc -l <"$T/out")" 3
expect_err 'broke off.*connecting again'
remote noise noise.sif docker://alpine
expect_rc 0
expect_equal "$(tail -n 1 "$T/out")" "$(printf '\033[31mred\033[0m')"
remote slow slow.sif docker://alpine
expect_rc 0
expect_equal "$(wc -l <"$T/out")" 3

check "an image that comes in pieces is put together, and one without a checksum is compared with the library's"
for fault in short bare; do
    remote $fault $fault.sif docker://alpine
    expect_rc 0
    expect_same_file "$T/image" $fault.sif
done

check "a wrong or missing checksum, a wrong length or a reference that climbs leaves nothing"
for fault in wrong nosum longer odd; do
    remote $fault $fault.sif docker://alpine
    expect_failure
    expect_absent $fault.sif
done
remote wrong wrong.sif docker://alpine
expect_err 'its checksum is sha256.[0-9a-f]{64} and not sha256.0{64}'
expect_equal "$(find . -name '.*' -type f)" "" "leftovers"

check "a build that fails says so behind its log"
remote failed failed.sif docker://alpine
expect_failure
expect_out '^FATAL: +While performing build: no such image$'
expect_err 'the build of docker://alpine failed on the builder'
expect_absent failed.sif

check "a builder that refuses, is none, or has no log is named"
remote closed a.sif docker://alpine
expect_failure
expect_err '401.*'
expect_err 'remote login'
remote none a.sif docker://alpine
expect_failure
expect_err 'is no builder'
remote nolog a.sif docker://alpine
expect_failure
expect_err '404'
expect_err "singularity pull --library $AT/nolog $REF"
LIMIT=120 remote gone a.sif docker://alpine
expect_failure
expect_err 'broke off'
expect_err 'may go on. When it is complete: singularity pull'
remote broken a.sif docker://alpine
expect_failure
expect_err 'breaks the WebSocket protocol'
run singularity build --remote --builder http://127.0.0.1:1 --library http://127.0.0.1:1 a.sif docker://alpine
expect_failure
expect_absent a.sif

check "what only this machine has is refused with the reason"
ok singularity build here.sif "oci:$IMAGES/tiny.oci"
mkdir sandbox
echo >oci.tar
printf 'Bootstrap: localimage\nFrom: here.sif\n' >local.def
forget
for source in docker-daemon:x:latest docker-archive:oci.tar oci-archive://oci.tar oci:dir here.sif sandbox local.def; do
    remote ok l.sif "$source"
    expect_failure 1
    expect_err 'cannot be built remotely: '
done
for option in --sandbox --update --no-cache --fix-perms --notest '--section post' '--compress gzip' '--docker-login' --json; do
    # shellcheck disable=SC2086
    remote ok $option l.sif docker://alpine
    expect_failure 1
    expect_err "${option%% *}"
done
run singularity build --detached l.sif docker://alpine
expect_failure 1
expect_err -- '--detached is for remote builds'
remote ok l.sif nothing.def
expect_failure
remote ok sandbox docker://alpine
expect_failure
expect_equal "$(asked)" ""

check "Ctrl-C cancels the build on the builder, and its files go"
echo file >f
printf 'Bootstrap: docker\nFrom: alpine\n%%files\n    f\n' >f.def
forget
for signal in INT TERM; do
    start "$T/forever.log" singularity build --remote --builder "$AT/forever" --library "$AT/forever" f.sif f.def
    until_says "$T/forever.log" searching
    kill -$signal "$PID"
    ended
    [ "$RC" != 0 ] || fail "it ended with 0"
    grep -q 'was cancelled on the builder' "$T/forever.log" || fail "$(cat "$T/forever.log")"
done
expect_equal "$(asked | grep -c 'PUT .*/_cancel')" 2 "cancels"
expect_equal "$(asked | grep -c '^DELETE')" 2 "contexts that were removed"
expect_absent f.sif

check "the token goes to the service that it is for, and never to where the files are sent"
mkdir -p "$HOME/.singularity"
cat >"$HOME/.singularity/remote.yaml" <<YAML
Active: site
Remotes:
  site:
    URI: ${AT#http://}
    Token: se-cret
    System: false
    Exclusive: false
    Insecure: true
YAML
chmod 600 "$HOME/.singularity/remote.yaml"
forget
remote ok token.sif f.def
expect_rc 0
for line in 'POST /ok/v1/build ' 'GET /ok/v1/build-ws/' 'GET /ok/v1/build/' 'GET /ok/v1/imagefile/' 'DELETE /ok/v1/build-context/'; do
    asked | grep "^$line" | grep -q 'token se-cret$' || fail "no token: $line"
done
asked | grep '^PUT /ok/upload/1$' >/dev/null || fail "the upload is not without a token"
run singularity -d build --force --remote --builder "$AT/ok" --library "$AT/ok" token.sif f.def
refuse_err se-cret
kill "$BUILDER"
finish
