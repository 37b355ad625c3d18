# Definition files: built by root and by an ordinary user.
. "$(dirname "$0")/../support/lib.sh"

BASE=$IMAGES/full.oci:latest

check "lint tells what is wrong, where, and in JSON"
printf 'Bootstrap: oci\nForm: x\n' >wrong.def
run singularity lint wrong.def
expect_rc 255
expect_out '^wrong.def:2:1: error: invalid header keyword found: form'
expect_out "Did you mean 'from'"
run singularity lint --json wrong.def
expect_rc 255
python3 - "$OUT" <<'END' || fail "the JSON is not as promised"
import json, sys
d = json.loads(sys.argv[1])
assert d["valid"] is False and d["stages"] == 0, d
f = d["findings"][0]
assert f["severity"] == "error" and f["line"] == 2 and f["column"] == 1 and f["rule"] and f["message"], f
END
printf 'Bootstrap: oci\nFrom: x\n%%post\n echo x >> ~/.bashrc\n' >loose.def
run singularity lint --json loose.def
expect_rc 0
python3 - "$OUT" <<'END' || fail "the findings are not as promised"
import json, sys
d = json.loads(sys.argv[1])
assert d["valid"] is True and d["stages"] == 1, d
assert sorted((f["rule"], f["line"]) for f in d["findings"]) == [("bashrc-environment", 4), ("no-runscript", 1)], d
END

check "keys of sources that only other tools have are told, and refused by nobody"
printf 'Bootstrap: oci\nFrom: %s\nTarget: x\nFrontend: y\nProduct: z\nUser: w\n%%runscript\n true\n' "$BASE" >keys.def
run singularity lint keys.def
expect_rc 0
for key in target frontend product user; do expect_out "$key"; done

metadata() {
    echo "copied $WHO" >file.txt && mkdir -p dir/sub && echo one >dir/one && ln -sf ../one dir/sub/link
    [ $WHO = root ] || chown -R "$USER_ID" . 2>/dev/null
    cat >m.def <<END
Bootstrap: oci
From: $BASE
Stage: first

%files
    file.txt /opt/deep/file.txt

Bootstrap: oci
From: $BASE
%arguments
    GREETING=hello
%files from first
    /opt/deep/file.txt /opt/from-first
%files
    file.txt
    dir /opt/
    dir/o* /opt/new/
%environment
    export GREETING="{{ GREETING }}"
%runscript
    echo "\$GREETING \$*"
%startscript
    sleep 1
%labels
    Author somebody
%help
    How to use it.
%apprun tool
    echo "app \$SCIF_APPNAME \$TOOL"
%appenv tool
    export TOOL=hammer
%appfiles tool
    file.txt bin/data
%test
    test -f /file.txt && echo TESTED
END
    check "a definition without scripts becomes an image with its files and metadata"
    run me singularity build m.sif m.def
    expect_rc 0
    [ $FUSE_FOR_USERS = yes ] || [ $WHO = root ] || return
    expect_out TESTED
    run me singularity run m.sif a b
    expect_out '^hello a b$'
    run me singularity run --app tool m.sif
    expect_out '^app tool hammer$'
    run me singularity exec m.sif cat /file.txt /opt/from-first /opt/dir/one /opt/dir/sub/link /opt/new/one /scif/apps/tool/bin/data
    expect_rc 0
    expect_equal "$OUT" "copied $WHO
copied $WHO
one
one
one
copied $WHO"
    run me singularity exec m.sif sh -c 'test ! -L /opt/dir/sub/link'
    expect_rc 0
    run me singularity inspect --deffile m.sif
    expect_out '^bootstrap: oci$'
    expect_out 'GREETING="hello"'
    run me singularity inspect --labels m.sif
    expect_out '"Author": "somebody"'
    expect_out 'deffile.bootstrap": "oci"'
    run me singularity inspect --helpfile m.sif
    expect_out 'How to use it'
    run me singularity inspect --list-apps m.sif
    expect_out '^tool$'
    run me singularity apps m.sif
    expect_equal "$OUT" tool
    run me singularity run-help m.sif
    expect_out 'How to use it'
    run me singularity run-help --app tool m.sif
    expect_out 'No help sections'
    run me singularity test m.sif
    expect_out TESTED
    check "a build argument replaces the default, and one that nothing uses is refused"
    run me singularity build --force --notest --build-arg GREETING=bye m.sif m.def
    expect_rc 0
    refuse_out TESTED
    run me singularity run m.sif
    expect_out '^bye '
    run me singularity build --force --build-arg NOBODY=1 m.sif m.def
    expect_failure
    expect_err "'NOBODY' is used nowhere"
}
each_user metadata

between_stages() {
    [ $WHO = root ] || [ $FUSE_FOR_USERS = yes ] || { note "no FUSE for users"; return; }
    for scripts in "" "%post
    chown 8:8 /same/w"; do
        cat >o.def <<END
Bootstrap: oci
From: $BASE
Stage: one
%post
    mkdir -p /d/sub /d/tmp
    echo a >/d/program && chmod 4755 /d/program
    echo a >/d/w && chown 5:6 /d/w && chmod 666 /d/w && ln /d/w /d/sub/w2
    chmod 1777 /d/tmp
    chown 10:10 /d/sub && chmod 2750 /d/sub
    ln -s w /d/l && chown -h 3:4 /d/l

Bootstrap: oci
From: $BASE
%files from one
    /d /new
    /d/program /p
    /d/* /same/
$scripts
END
        check "files of a stage keep owners, modes and their names${scripts:+, also below scripts}"
        run me singularity build --force o.sif o.def
        expect_rc 0
        offset=$(singularity sif list o.sif | sed -n 's/.*|\([0-9]*\)-[0-9]* *|FS.*/\1/p' | head -n 1)
        run sh -c 'unsquashfs -lln -o "$1" o.sif | sed "s/ *[0-9]* [0-9-]* [0-9:]* squashfs-root/ /"' list "${offset:-0}"
        owner=5/6
        [ -z "$scripts" ] || owner=8/8
        for line in '-rwsr-xr-x 0/0 /new/program' '-rw-rw-rw- 5/6 /new/w' 'drwxrwxrwt 0/0 /new/tmp' 'drwxr-s--- 10/10 /new/sub' \
            'lrwxrwxrwx 3/4 /new/l -> w' '-rwsr-xr-x 0/0 /p' "-rw-rw-rw- $owner /same/w"; do
            expect_out "^$line$"
        done
        run me singularity exec o.sif stat -c %h /new/sub/w2
        expect_equal "$OUT" 2
    done
}
each_user between_stages

own_words() {
    [ $WHO = root ] || [ $FUSE_FOR_USERS = yes ] || { note "no FUSE for users"; return; }
    check "what %post adds to /environment, the runscript and the help is in the image and told, with and without sections on top"
    for environment in "" "%environment
    export ON_TOP=top"; do
        cat >w.def <<END
Bootstrap: oci
From: $BASE
%post
    echo "export OLD_WAY=old" >>/environment
    echo "echo added" >>/.singularity.d/runscript
    echo "some help" >/.singularity.d/runscript.help
$environment
END
        for pass in made reused; do
            run me singularity build --force w.sif w.def
            expect_rc 0
            run me singularity exec w.sif sh -c 'echo "$OLD_WAY $ON_TOP"; tail -n 1 /.singularity.d/runscript'
            expect_equal "$OUT" "old ${environment:+top}
echo added"
            run me singularity inspect --environment w.sif
            expect_out OLD_WAY=old
            run me singularity inspect --runscript w.sif
            expect_out '^echo added$'
            run me singularity run-help w.sif
            expect_out '^some help$'
        done
    done
    check "the same where the base is no image, and for files that %files puts there"
    cp "$(command -v busybox)" busybox
    cat >e.def <<END
Bootstrap: scratch
%files
    busybox /bin/sh
    busybox /bin/busybox
%post
    echo "export OLD_WAY=old" >>/environment
%environment
    export ON_TOP=top
END
    run me singularity build --force w.sif e.def
    expect_rc 0
    run me singularity exec w.sif sh -c 'echo "$OLD_WAY $ON_TOP"'
    expect_equal "$OUT" "old top"
    printf '#!/bin/sh\necho mine\n' >mine.sh && chmod 755 mine.sh
    printf 'Bootstrap: oci\nFrom: %s\n%%files\n    mine.sh /.singularity.d/runscript\n' "$BASE" >f.def
    run me singularity build --force w.sif f.def
    expect_rc 0
    run me singularity run w.sif
    expect_equal "$OUT" mine
    run me singularity inspect --runscript w.sif
    expect_out '^echo mine$'
    check "--section takes several names"
    run me singularity build --force --section post,environment w.sif w.def
    expect_rc 0
    run me singularity exec w.sif sh -c 'echo "$OLD_WAY $ON_TOP"'
    expect_equal "$OUT" "old top"
    run me singularity build --force --section post,environmnt w.sif w.def
    expect_rc 1
    expect_err "there is no section 'environmnt'"
}
each_user own_words

scripts() {
    [ $WHO = root ] || [ $FUSE_FOR_USERS = yes ] || { note "no FUSE for users"; return; }
    echo data >file.txt
    cat >s.def <<END
Bootstrap: oci
From: $BASE
%setup
    echo setup >"\$SINGULARITY_ROOTFS/from-setup"
%files
    file.txt /opt/file.txt
%post
    id -u >/etc/id
    cat /opt/file.txt /from-setup >/etc/both
    rm -f /etc/motd
    mkdir -m 700 /etc/closed
    echo "export NOW=now" >>"\$SINGULARITY_ENVIRONMENT"
    echo "Built by post" >>"\$SINGULARITY_LABELS"
    echo gone >/tmp/gone
%runscript
    echo "run \$NOW"
END
    check "scripts run in the base, and what they change is in the image"
    run me singularity build s.sif s.def
    expect_rc 0
    expect_err '^INFO:    Running post scriptlet'
    run me singularity exec s.sif cat /etc/id /etc/both
    expect_equal "$OUT" "0
data
setup"
    run me singularity exec s.sif ls /etc/motd
    [ "$RC" != 0 ] || fail "a removed file of the base is there"
    run me singularity exec s.sif ls /.post.script /.build.labels
    refuse_out 'post.script|build.labels'
    run me singularity run s.sif
    expect_out '^run now$'
    run me singularity inspect s.sif
    expect_out '"Built": "by post"'
    check "an equal %post is not run again, and that is said; another one is"
    printf 'Bootstrap: oci\nFrom: %s\n%%files\n    file.txt\n%%post\n    echo RAN\n    echo made >/etc/made\n    echo "export KEPT=yes" >>"$SINGULARITY_ENVIRONMENT"\n%%runscript\n    echo one $KEPT\n' "$BASE" >r.def
    run me singularity build --force r.sif r.def
    expect_rc 0
    expect_out RAN
    sed -i 's/echo one/echo two/' r.def
    run me singularity build --force r.sif r.def
    expect_rc 0
    refuse_out RAN
    expect_err 'Reusing %post of [0-9]+ (second|minute)s? ago \(--no-cache runs it again\)'
    run me singularity run r.sif
    expect_out '^two yes$'
    run me singularity exec r.sif cat /etc/made
    expect_out '^made$'
    run me singularity build --force --no-cache r.sif r.def
    expect_out RAN
    echo other >file.txt
    run me singularity build --force r.sif r.def
    expect_out RAN
    echo data >file.txt
    check "--explain tells what would run and which input changed, and makes nothing"
    printf 'Bootstrap: oci\nFrom: %s\nStage: tools\n%%arguments\n    LEVEL=1\n%%post\n    echo TOOLS RAN\n    echo {{ LEVEL }} >/opt/tool\n%%environment\n    export TOOLS=yes\n\nBootstrap: oci\nFrom: %s\n%%files from tools\n    /opt/tool\n%%files\n    file.txt\n%%post\n    echo LAST RAN\n%%runscript\n    echo one\n' "$BASE" "$BASE" >e.def
    run me singularity build --explain e.sif e.def
    expect_rc 0
    expect_out "^stage 'tools'$"
    expect_out '^    all of it is made again: no earlier build of it is kept$'
    expect_absent e.sif
    run me singularity build e.sif e.def
    expect_rc 0
    expect_out 'TOOLS RAN'
    run me singularity build --explain e.sif e.def
    expect_out '^    all of it is reused, from [0-9]+ (second|minute)s? ago$'
    expect_out '^    %post     is reused, from [0-9]+ (second|minute)s? ago$'
    expect_out '^    SIF       is written to e.sif$'
    sed -i 's/echo one/echo two/' e.def
    run me singularity build --force e.sif e.def
    expect_rc 0
    refuse_out RAN
    expect_err "Reusing stage 'tools' of [0-9]+ (second|minute)s? ago \(--no-cache builds it again\)"
    expect_err 'Reusing %post of [0-9]+ (second|minute)s? ago'
    run me singularity run e.sif
    expect_out '^two$'
    run me singularity exec e.sif cat /opt/tool
    expect_equal "$OUT" 1
    echo other >file.txt
    run me singularity build --explain e.sif e.def
    expect_out '^    %post     runs: %files file.txt changed since the build of [0-9]+ (second|minute)s? ago$'
    run me singularity build --force e.sif e.def
    refuse_out 'TOOLS RAN'
    expect_out 'LAST RAN'
    run me singularity build --explain --build-arg LEVEL=2 e.sif e.def
    expect_out '^    all of it is made again: build argument LEVEL changed, %post changed since'
    expect_out "^    %post     runs, unless the files of stage 'tools' turn out the same$"
    sed -i 's/TOOLS=yes/TOOLS=no/' e.def
    run me singularity build --explain e.sif e.def
    expect_out '^    all of it is made again: %environment changed since'
    expect_out '^    %post     is reused, from [0-9]+ (second|minute)s? ago$'
    run me singularity build --force e.sif e.def
    refuse_out RAN
    run me singularity build --explain --no-cache e.sif e.def
    expect_out '^    %post     runs: nothing is reused \(--no-cache'
    run me singularity --set build.reuse_days=0 build --explain e.sif e.def
    expect_rc 0
    refuse_out 'is reused, from'
    run me singularity build --explain e.sif s.sif
    expect_rc 1
    expect_err '\-\-explain is for definition files'
    run me singularity cache list -v -T build
    expect_out '^stage\.image .* build$'
    expect_out '^changes .* build$'
    echo data >file.txt
    check "a sandbox is made the same way"
    run me singularity build --sandbox s.dir s.def
    expect_rc 0
    expect_equal "$(cat s.dir/etc/both)" "data
setup"
    check "a failing script says what, where and how, and leaves nothing"
    printf 'Bootstrap: oci\nFrom: %s\n%%post\n    echo before\n    ls /nowhere\n    echo after\n' "$BASE" >f.def
    run me singularity build f.sif f.def
    expect_failure
    expect_err 'f.def:5:5: %post failed with status [1-9][0-9]*: ls /nowhere'
    expect_err 'before'
    refuse_out after
    expect_absent f.sif
    check "--keep-on-failure keeps the tree"
    run me singularity build --keep-on-failure f.sif f.def
    expect_failure
    kept=$(sed -n 's/.*The tree is kept: singularity shell --writable --no-home //p' <<<"$ERR")
    [ -d "$kept/etc" ] || fail "nothing is kept at '$kept'"
    [ -z "$kept" ] || rm -rf "${kept%/rootfs}"
    check "a failing test makes no image"
    printf 'Bootstrap: oci\nFrom: %s\n%%test\n    exit 3\n' "$BASE" >t.def
    run me singularity build t.sif t.def
    expect_failure
    expect_err 't.def:3:1: %test failed with status 3'
    expect_absent t.sif
    check "daemons end with the build"
    printf 'Bootstrap: oci\nFrom: %s\n%%setup\n    sleep 987654 & \n%%post\n    sleep 987654 &\n' "$BASE" >d.def
    run me singularity build d.sif d.def
    expect_rc 0
}
each_user scripts
expect_nothing_left

need_root
check "links that the base plants lead nowhere outside"
mkdir -p canary
echo safe >canary/file
mkdir -p evil && cp -a "$IMAGES" /dev/null 2>/dev/null
singularity build --sandbox evil.dir "oci:$BASE" >/dev/null 2>&1
rm -rf evil.dir/.singularity.d/env
ln -s "$PWD/canary" evil.dir/.singularity.d/env
ln -s "$PWD/canary/file" evil.dir/.post.script
ln -s "$PWD/canary/labels" evil.dir/.build.labels
rm -f evil.dir/etc/resolv.conf
ln -s "$PWD/canary/resolv" evil.dir/etc/resolv.conf
ln -s "$PWD/canary" evil.dir/opt/out
echo data >file.txt
printf 'Bootstrap: localimage\nFrom: %s\n%%files\n    file.txt /opt/out/file\n    file.txt /opt/out/new\n%%post\n    echo x >>$SINGULARITY_ENVIRONMENT || true\n    echo a b >>$SINGULARITY_LABELS || true\n' "$PWD/evil.dir" >e.def
run singularity build e.sif e.def
expect_equal "$(ls canary)" file
expect_equal "$(cat canary/file)" safe

check "a directory where the script of %post is to be put is named, with what to do; a link to one is replaced"
printf 'Bootstrap: oci\nFrom: %s\n%%setup\n    mkdir -p "$SINGULARITY_ROOTFS/.post.script/x"\n%%post\n    true\n' "$BASE" >d.def
run singularity build d.sif d.def
expect_failure
expect_err 'd\.def:5:.* the image has a directory /\.post\.script'
expect_err 'Move it away in %setup'
expect_absent d.sif
printf 'Bootstrap: oci\nFrom: %s\n%%setup\n    ln -s etc "$SINGULARITY_ROOTFS/.post.script"\n%%post\n    echo fine >/etc/fine\n' "$BASE" >d.def
run singularity build d.sif d.def
expect_rc 0

check "lines that a script prints stay whole beside those that its shell traces"
printf 'Bootstrap: oci\nFrom: %s\n%%setup\n    i=0; while [ $i -lt 2000 ]; do echo "line $i"; i=$((i + 1)); done\n%%post\n    i=0; while [ $i -lt 2000 ]; do echo "line $i"; i=$((i + 1)); done\n' "$BASE" >l.def
timeout "$LIMIT" singularity build l.sif l.def >l.log 2>&1
expect_equal "$(grep -c '^line [0-9]*$' l.log)" 4000

json_events() {
    check "build --json: events alone on standard output, whatever scripts print"
    cat >j.def <<END
Bootstrap: oci
From: $BASE
%pre
    echo pre says
%setup
    echo setup says
%post
    echo post says
%runscript
    true
%test
    echo test says
END
    run me singularity build --json --disable-cache j.sif j.def
    expect_rc 0
    for section in pre setup post test; do expect_err "^$section says"; done
    python3 - "$T/out" <<'END' || { fail "the events are not as promised"; told; }
import json, sys
events = [json.loads(line) for line in open(sys.argv[1])]
assert events[-1] == {"event": "done", "path": "j.sif"}, events
assert sum(e["event"] == "done" for e in events) == 1, events
begun = {e["task"]: e for e in events if e["event"] == "begin"}
ended = {e["task"]: e for e in events if e["event"] == "end"}
assert begun and begun.keys() == ended.keys(), events
assert all(e["label"] for e in begun.values()) and all(e["ok"] is True for e in ended.values()), events
for e in events:
    assert e["event"] in ("begin", "progress", "end", "done"), e
    assert e["event"] == "done" or e["task"] in begun, e
END
    check "build --json of what fails: no event of success, and the message on standard error"
    printf 'Bootstrap: oci\nFrom: %s\n%%post\n    echo said\n    exit 7\n' "$BASE" >j.def
    run me singularity build --json k.sif j.def
    expect_failure
    expect_err '%post failed with status 7'
    python3 - "$T/out" <<'END' || { fail "the events are not as promised"; told; }
import json, sys
assert all(json.loads(line)["event"] != "done" for line in open(sys.argv[1]))
END
    expect_absent k.sif
}
each_user json_events

check "Ctrl-C ends everything and leaves nothing"
printf 'Bootstrap: oci\nFrom: %s\n%%post\n    echo waiting\n    sleep 987654\n' "$BASE" >c.def
start log singularity build c.sif c.def
until_says log waiting
kill -INT "$PID"
ended
[ "$RC" != 0 ] || fail "an interrupted build ended well"
expect_absent c.sif
expect_nothing_left

finish
