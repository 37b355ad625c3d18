# The conformance kit: each deliberately broken plugin fails, by the check that is meant for it; ours pass.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/registry.sh"
need_tool python3 cmake docker-registry skopeo
LIMIT=200

check "the broken plugins build out of tree"
cp -r "$SG_SOURCE/sdk/conformance/broken" broken
launcher=()
command -v ccache >/dev/null && launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
{ cmake -S broken -B built -G Ninja -DCMAKE_PREFIX_PATH="$PREFIX" "${launcher[@]}" && cmake --build built -j2; } >log 2>&1 || { fail "they do not build"; tail -20 log; }

check "one without a defect passes, each check"
ok singularity plugin test built/none --with none://thing
refuse_out 'FAILED|skipped|note:'
expect_out '^[0-9]+ checks, 0 failed$'
ok singularity plugin test built/none/none.so
ok singularity --json plugin test built/none --with none://thing
python3 - "$T/out" <<'PY' || fail "the JSON report is wrong"
import json, sys
r = json.load(open(sys.argv[1]))
assert r["plugin"] == "none" and r["failed"] == 0 and len(r["checks"]) > 10
assert all(c["state"] == "passed" for c in r["checks"])
PY

# NAME: what the report must say.
while IFS='|' read -r name words; do
    check "$name is found out"
    case $name in lost-body | veto-crash | signs-all | never-stops) with=() ;; *) with=(--with "$name://thing") ;; esac
    run singularity plugin test "built/$name" "${with[@]}"
    expect_rc 255
    grep -q '^FAILED' "$T/out" || fail "no check failed"
    grep -qE -- "- .*$words" "$T/out" || { fail "the report lacks /$words/"; grep -A3 FAILED "$T/out" | cut -c1-300; }
done <<'EOT'
wrong-name|its manifest calls it 'wrong-name', its object 'another'
more-symbols|exports 1 symbols besides singularity_plugin.*helper_that_others_may_take
any-table|which nobody knows
no-table|its manifest provides bootstrap no-table, its object has no table
silent-error|fails without filling the error
wrong-code|fills the error with code 4, but gives 3
two-lines|gives a message that is not one line
short-text|fills the error with a text that does not end in its room
null-error|crashes \(Segmentation fault\) .*without an error to fill \(NULL\)
says-hello|prints on stdout
never-cancels|does not end within 100 ms of a cancel
leaks|leaks about [0-9]+ bytes with each round
leaks-files|leaks a descriptor with each round
overruns|crashes .*in resolve of '
hangs|hangs: no end within 30 s in resolve of ''
exits|ends the process \(status 0\) in resolve of ''
crash-at-end|crashes \(Aborted\) while the process ends
threads-share|wrong bytes when several threads read its layers|gives its layers
wrong-digest|gives bytes that do not match their digest
open-task|the progress task 'Copying' is never ended
starts-threads|starts threads in start
throws|an exception came over the boundary|crashes \(Aborted\) in resolve
lost-body|closes the request's body 0 times
cut-name|gives a part of the name when there is too little room
keeps-secret|gives the password of 'user:secret@host.example/a/b' in its name
signs-all|names a signer of .*nothing.img
never-stops|goes on when its sink stops it
veto-crash|crashes \(Segmentation fault\) for 'before_run' with empty members
EOT

check "what cannot be loaded is a finding, too"
mkdir bad
sed 's/^object: .*/object: bad.so/' built/none/plugin.yaml >bad/plugin.yaml
echo text >bad/bad.so
run singularity plugin test bad
expect_rc 255
expect_out 'is no ELF object'
rm bad/bad.so
run singularity plugin test bad
expect_rc 255
expect_err '/bad/bad\.so: No such file'
expect_err "build the plugin first"
refuse_out 'passed'
run singularity plugin test nowhere
expect_failure
run singularity plugin test .
expect_failure
expect_err 'there is no plugin\.yaml'
run singularity plugin test
expect_rc 1
run singularity plugin list --with x
expect_rc 1

if echo 'int main(){}' | gcc -fsanitize=address -shared -fPIC -x c - -o asan.so 2>/dev/null; then
    check "an object that was built with AddressSanitizer is checked by it"
    for defect in NONE OVERRUNS LEAKS; do
        gcc -g -fsanitize=address -shared -fPIC -fvisibility=hidden -DPLUGIN_NAME='"none"' -DDEFECT_$defect -I"$PREFIX/include" broken/source.c -o asan.so ||
            fail "it does not compile"
        rm -rf asan && cp -r built/none asan && cp asan.so asan/none.so
        run singularity plugin test asan --with none://thing
        case $defect in
        NONE) expect_rc 0 ;;
        OVERRUNS) expect_rc 255; expect_out 'AddressSanitizer: stack-buffer-overflow' ;;
        LEAKS) expect_rc 255; expect_out 'leaks memory \(LeakSanitizer\)' ;;
        esac
    done
fi

check "what fails with a sample says why, and is not failed twice"
run singularity plugin test built/none --with none://
expect_rc 255
expect_out '^FAILED .*none://$'
expect_out 'cannot resolve what was given by --with: there is one thing'
expect_out '^skipped .*resolve from several threads'
refuse_out 'resolves otherwise'

check "a plugin has the values of its own keys that its user has: --set, a variable, and files where it is registered"
ok singularity plugin create keyed --kind transport
cat >keyed/plugin.cpp <<'CPP'
#include <singularity/text.hpp>
#include <singularity/transport.hpp>

using namespace singularity;

struct Answer final : Response {
    const char* url() const override { return "keyed:x"; }
    std::unique_ptr<Stream> body() override { return std::make_unique<TextStream>("text"); }
};
struct Keyed final : Transport {
    std::unique_ptr<Response> send(const sg_request& request, const Host& host) override {
        const ForeignStream body(request.body);
        if (host.text("keyed.word").value_or("") != "open sesame")
            throw Error(Code::invalid, "the word is '" + host.text("keyed.word").value_or("") + "'", "set keyed.word");
        return std::make_unique<Answer>();
    }
};
SINGULARITY_PLUGIN(keyed, Keyed)
CPP
echo 'config: [{key: keyed.word, type: text, default: none, doc: A word.}]' >>keyed/plugin.yaml
{ cmake -S keyed -B keyed/build -G Ninja -DCMAKE_PREFIX_PATH="$PREFIX" "${launcher[@]}" && cmake --build keyed/build; } >log 2>&1 || { fail "it does not build"; tail -20 log; }
run singularity plugin test keyed/build --with keyed:x
expect_rc 255
expect_out "cannot get what was given by --with: the word is 'none' \(set keyed\.word\)"
ok singularity plugin test keyed/build --with keyed:x --set "keyed.word=open sesame"
ok env SINGULARITY_KEYED_WORD="open sesame" singularity plugin test keyed/build --with keyed:x
run singularity plugin test keyed/build --set keyed.wurd=x
expect_rc 1
expect_err "unknown configuration key 'keyed\.wurd'"
run singularity plugin list --set keyed.word=x
expect_rc 1
ok singularity plugin install --user keyed/build
echo 'keyed: {word: open sesame}' >"$HOME/.singularity/config.yaml"
ok singularity plugin test keyed/build --with keyed:x
run singularity plugin test keyed/build --with keyed:x --set keyed.word=other
expect_rc 255
expect_out "the word is 'other'"
rm "$HOME/.singularity/config.yaml"
ok singularity plugin remove --user keyed

check "a writer that gives the wrong content for a file that it takes is found out"
cp -r "$SG_SOURCE/sdk/examples/tar" tar
sed -i 's#^    ~TarWriter() override;#&\n    uint64_t adopt(const singularity::ForeignRoot\&, uint64_t) override { return 0; }#' tar/writer.hpp
{ cmake -S tar -B tar/build -G Ninja -DCMAKE_PREFIX_PATH="$PREFIX" "${launcher[@]}" && cmake --build tar/build -j2; } >log 2>&1 || { fail "it does not build"; tail -20 log; }
run singularity plugin test tar/build
expect_rc 255
expect_out "^FAILED.* files that a writer takes of a reader keep their bytes"

check "a command that opens images gets them by the formats that are registered here"
singularity build tiny.sif "oci:$IMAGES/tiny.oci" >/dev/null 2>&1 || fail "no image to test with"
ok singularity plugin create lister --kind command
cat >lister/plugin.cpp <<'CPP'
#include <cstdio>
#include <singularity/command.hpp>
#include <singularity/image.hpp>

struct Lister : singularity::Command {
    int run(const singularity::Invocation& i, const singularity::Host&) override {
        const singularity::ForeignImage image(i.arguments.at(0), false);
        std::printf("%s\n", image.info().format);
        image.root().list(image.root().root(), [](std::string_view name, uint64_t, uint32_t) {
            std::printf("%.*s\n", static_cast<int>(name.size()), name.data());
            return true;
        });
        std::fflush(stdout);
        return 0;
    }
};
SINGULARITY_PLUGIN(lister, Lister)
CPP
{ cmake -S lister -B lister/build -G Ninja -DCMAKE_PREFIX_PATH="$PREFIX" "${launcher[@]}" && cmake --build lister/build; } >log 2>&1 || { fail "it does not build"; tail -20 log; }
ok singularity plugin test lister/build --with "lister tiny.sif"
run singularity plugin test lister/build --with "lister lister/plugin.yaml"
expect_rc 255
expect_out "fails with what was given by --with: 'lister .*/lister/plugin\.yaml': .*plugin\.yaml is no image"
ok singularity plugin install --user lister/build
ok singularity lister tiny.sif
expect_out '^sif$'
expect_out '^bin$'
ok singularity plugin remove --user lister

# ---- Ours ----------------------------------------------------------------------------------------

singularity build x.sif "oci:$IMAGES/full.oci" >/dev/null 2>&1 || fail "no image to test with"
mkdir web && head -c 300000 /dev/urandom >web/file
start server.log python3 -u -m http.server --bind 127.0.0.1 --directory web 0
until_says server.log 'port [0-9]'
PORT=$(sed -n 's/.*port \([0-9]*\).*/\1/p' server.log)
WEB=$PORT WEB_PID=$PID
start_registry ours && REGISTRY=127.0.0.1:$PORT
upload full.oci:latest "$REGISTRY/lab/full:1"
ok singularity push x.sif "oras://$REGISTRY/lab/image:1"
samples() { # PLUGIN: words for --with
    case $1 in
    oci) echo "oci:$IMAGES/full.oci" ;;
    oci-archive) echo "oci-archive:$IMAGES/full.oci.tar" ;;
    docker-archive) echo "docker-archive:$IMAGES/save-new.tar" ;;
    localimage) echo "localimage:$PWD/x.sif" ;;
    scratch) echo "scratch:" ;;
    docker) echo "docker://$REGISTRY/lab/full:1" ;; # over the transport of another plugin
    oras) echo "oras://$REGISTRY/lab/image:1" ;;
    file) echo "file://$PWD/web/file" ;;
    https) echo "http://127.0.0.1:$WEB/file" ;;
    sif) echo "$PWD/x.sif" ;;
    memory-source) echo "memory://image" ;;
    my-proxy) echo "http://127.0.0.1:$WEB/file" ;; # in front of ours
    esac
}
while read -r manifest; do
    directory=$(dirname "$manifest")
    name=$(basename "$directory")
    case $name in broken-*) continue ;; esac
    check "our plugin $name passes"
    with=()
    while read -r sample; do with+=(--with "$sample"); done < <(samples "$name")
    run singularity plugin test "$directory" "${with[@]}"
    [ "$RC" = 0 ] || { fail "it does not"; grep -A9 '^FAILED' "$T/out" | cut -c1-400; }
done < <(find "$PREFIX/lib/singularity/plugins" "$SG_STAGE/plugins-gcc" -name plugin.yaml | sort)
PID=$WEB_PID
kill "$PID" && ended
stop_servers
finish
