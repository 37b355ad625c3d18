# plugin install, remove, enable, disable; what is refused, and that nothing else suffers from it.
. "$(dirname "$0")/../support/lib.sh"
own_prefix
need_tool python3
chmod -R go-w "$PREFIX"
chmod 755 "$T/w" # what is installed must lie where nobody else may write
ETC=$PREFIX/etc/singularity
BUILT=$(dirname "$(find "$SG_STAGE/plugins-gcc" -path '*/memory-source/plugin.yaml')")
MINE=$T/w/mine
fresh() { rm -rf "$MINE" && cp -r "$BUILT" "$MINE"; }
others_work() {
    local before=$COMMAND
    ok singularity build --force other.sif "oci:$IMAGES/tiny.oci"
    ok singularity exec other.sif true
    ok singularity plugin list
    COMMAND=$before
}
listing() { find "$PREFIX" ! -name index -printf '%P %y %m %s\n' | sort; }
fresh
listing >before

check "a directory is installed for everybody, used, switched off and on, and removed without a trace"
ok singularity plugin install "$MINE"
expect_out '^Installed plugin memory-source 1\.0\.0 \(bootstrap memory\) for everybody'
expect_exists "$ETC/plugins.d/60-memory-source.yaml"
ok singularity build --sandbox d memory://image
ok singularity help memory-source
ok singularity plugin disable memory-source
run singularity build --sandbox d2 memory://image
expect_failure
expect_err 'plugin memory-source is not active \(disabled in .*/90-memory-source\.yaml:3\)'
expect_exists "$PREFIX/lib/singularity/plugins/memory-source/memory-source.so"
ok singularity plugin disable memory-source
expect_out 'is off already'
ok singularity plugin enable memory-source
ok singularity build --sandbox d2 memory://image
expect_absent "$ETC/plugins.d/90-memory-source.yaml"
sed -i 's/1\.0\.0/1.1.0/' "$MINE/plugin.yaml"
ok singularity plugin install "$MINE/"
expect_out '^Updated plugin memory-source 1\.1\.0'
ok singularity plugin remove memory-source
listing >after
diff before after || fail "something is left"
run singularity build --sandbox d3 memory://image
expect_failure
rm -rf d d2

check "a file that still sets a key of a plugin that goes is named at once"
ok singularity plugin create keyed --kind hook
mkdir -p keyed/built "$HOME/.singularity" && cp keyed/plugin.yaml keyed/README.md keyed/built/
cp "$(dirname "$BUILT")/veto-hook/veto-hook.so" keyed/built/
sed -i 's/^name: .*/name: veto-hook/; s/^object: .*/object: veto-hook.so/' keyed/built/plugin.yaml
ok singularity plugin install keyed/built
printf '\nkeyed.word: bad\n' >"$HOME/.singularity/config.yaml"
ok singularity plugin list
refuse_err WARNING
ok singularity plugin remove veto-hook
expect_err "^WARNING: the configuration is wrong without the plugin.*config\.yaml:2: unknown configuration key 'keyed\.word'"
rm -r "$HOME/.singularity" keyed
listing >after
diff before after || fail "something is left"

check "the index is compiled by install: the next command writes none"
ok singularity plugin install "$MINE"
stamp=$(stat -c %y "$PREFIX/lib/singularity/index")
ok singularity plugin list
ok singularity version
expect_equal "$(stat -c %y "$PREFIX/lib/singularity/index")" "$stamp"
[ ! -e "$HOME/.singularity/cache/index" ] || fail "an index was kept in the cache"
ok singularity plugin remove memory-source

check "an archive of it, with or without a directory around, in each compression"
for flags in "czf a.tgz" "cJf a.txz" "cf a.tar"; do
    # shellcheck disable=SC2086 # words
    tar -C "$T/w" -${flags% *} "${flags#* }" mine
    ok singularity plugin install "${flags#* }"
    ok singularity plugin remove memory-source
done
tar -C "$MINE" -czf flat.tgz .
ok singularity plugin install flat.tgz
ok singularity plugin remove memory-source

check "hostile archives are refused and leave nothing"
python3 - "$MINE" <<'PY'
import io, os, sys, tarfile
mine = sys.argv[1]
def archive(name, *entries, plugin=True):
    with tarfile.open(name, "w:gz") as t:
        if plugin:
            for f in os.listdir(mine): t.add(f"{mine}/{f}", f)
        for path, kind, target, size in entries:
            i = tarfile.TarInfo(path)
            i.type, i.linkname, i.size = kind, target, size
            t.addfile(i, io.BytesIO(b"x" * size) if kind == tarfile.REGTYPE else None)
F = tarfile.REGTYPE
archive("climb.tgz", ("../../escaped", F, "", 5))
archive("climb2.tgz", ("a/../../../escaped", F, "", 5))
archive("absolute.tgz", ("/tmp/sg-escaped", F, "", 5))
archive("symlink.tgz", ("out", tarfile.SYMTYPE, "/tmp", 0), ("out/sg-escaped", F, "", 5))
archive("hardlink.tgz", ("passwd", tarfile.LNKTYPE, "/etc/passwd", 0))
archive("device.tgz", ("dev", tarfile.CHRTYPE, "", 0))
archive("fifo.tgz", ("fifo", tarfile.FIFOTYPE, "", 0))
archive("twice.tgz", ("plugin.yaml", F, "", 5))
archive("many.tgz", *[(f"f{i}", F, "", 0) for i in range(5000)])
archive("none.tgz", ("readme", F, "", 5), plugin=False)
class Zeros(io.RawIOBase):
    def readable(self): return True
    def readinto(self, b): b[:] = bytes(len(b)); return len(b)
with tarfile.open("bomb.tgz", "w:gz", compresslevel=9) as t:
    i = tarfile.TarInfo("big"); i.size = 300 << 20
    t.addfile(i, io.BufferedReader(Zeros(), 1 << 20))
PY
head -c 2000 a.tgz >cut.tgz
echo "no archive" >text.tgz
: >empty.tgz
for bad in climb climb2 absolute symlink hardlink device fifo twice many none bomb cut text empty; do
    run singularity plugin install $bad.tgz
    expect_failure
    expect_err "$bad\.tgz"
    case $bad in climb*) expect_err 'climbs out' ;; many | bomb) expect_err '4096 entries or 256 MiB' ;; esac
done
expect_absent "$T/escaped"
expect_absent /tmp/sg-escaped
listing >after
diff before after || fail "something is left"
[ -z "$(find "$T/tmp" -name '.install-*')" ] || fail "temporaries are left"

check "what cannot be used is not installed: each with its reason"
refused() { # REASON: the plugin in $MINE
    run singularity plugin install "$MINE"
    expect_failure
    expect_err "$1"
    listing >after
    diff before after || fail "something is left"
    others_work
    fresh
}
rm "$MINE/memory-source.so" && refused "memory-source\.so.*No such file"
: >"$MINE/memory-source.so" && refused "memory-source\.so is empty"
echo text >"$MINE/memory-source.so" && refused "is no ELF object"
truncate -s 3000 "$MINE/memory-source.so" && refused "memory-source\.so is cut short"
printf '\xb7' | dd of="$MINE/memory-source.so" bs=1 seek=18 conv=notrunc status=none
[ "$(uname -m)" = aarch64 ] || refused "is built for another machine \(aarch64; this one is"
fresh
head -c 104857600 /dev/zero | tr '\0' '#' >>"$MINE/plugin.yaml" && refused "plugin\.yaml: is larger than 8 MiB"
sed -i 's/^abi: .*/abi: 99/' "$MINE/plugin.yaml" && refused "needs plugin ABI 99"
sed -i 's/^name: .*/name: other/' "$MINE/plugin.yaml" && refused "calls itself 'memory-source'"
sed -i 's/^name: .*/name: ..\/up/' "$MINE/plugin.yaml" && refused "plugin\.yaml:1: name '\.\./up' must be"
sed -i 's/^object: .*/object: ..\/memory-source.so/' "$MINE/plugin.yaml" && refused "must lie beside it"
sed -i 's/^provides:/provide:/' "$MINE/plugin.yaml" && refused "unknown member 'provide' in the manifest\. Did you mean 'provides'"
sed -i 's/- bootstrap:/- bootstarp:/' "$MINE/plugin.yaml" && refused "knows no capability 'bootstarp'\. Did you mean 'bootstrap'"
sed -i 's/^name: .*/name: [a, b]/' "$MINE/plugin.yaml" && refused "plugin\.yaml:1"
printf '\0\xff\xfe{{{' >"$MINE/plugin.yaml" && refused "plugin\.yaml"
chmod o+w "$MINE/memory-source.so" && refused "other users may write to it"
chmod o+w "$MINE" && refused "mine, which other users may write to"
CRASH=$(dirname "$(find "$SG_STAGE/plugins-gcc" -path '*/broken-crash-entry/plugin.yaml')")
MINE_WAS=$MINE MINE=$CRASH
run singularity plugin install "$CRASH"
expect_failure
expect_err "plugin broken-crash-entry is not installed: its object .* crashes when it is loaded"
MINE=$MINE_WAS

check "a plugin's name that is taken is not taken again"
printf '# by hand\nplugins: [{manifest: %s/plugin.yaml}]\n' "$MINE" >"$ETC/plugins.d/50-hand.yaml"
run singularity plugin install "$MINE"
expect_failure
expect_err "'memory-source' is registered already \(.*50-hand\.yaml:2\)"
run singularity plugin remove memory-source
expect_failure
expect_err "was not installed by 'plugin install': it is registered in .*50-hand\.yaml:2"
rm "$ETC/plugins.d/50-hand.yaml"

check "a registration file that is wrong takes nothing from the others"
for text in 'plugins: {}' 'plugins: [{manifest: [a]}]' 'plugin: []' 'plugins: [{manifests: x}]' 'plugins: 3' '[' 'plugins: [{name: sif, enabled: perhaps}]'; do
    printf '# wrong\n%s\n' "$text" >"$ETC/plugins.d/70-wrong.yaml"
    ok singularity build --force other.sif "oci:$IMAGES/tiny.oci"
    expect_err '70-wrong\.yaml:[23]: .*: nothing in this file is registered'
    others_work
done
expect_err '70-wrong\.yaml:2' # the same from `plugin list`
head -c 104857600 /dev/zero | tr '\0' '#' >"$ETC/plugins.d/70-wrong.yaml"
others_work
expect_err '70-wrong\.yaml: is larger than 8 MiB'
rm "$ETC/plugins.d/70-wrong.yaml"

check "a registered plugin whose object is another machine's, or crashes, says so; the others work"
fresh
printf '\xb7' | dd of="$MINE/memory-source.so" bs=1 seek=18 conv=notrunc status=none
printf 'plugins: [{manifest: %s/plugin.yaml}, {manifest: %s/plugin.yaml}]\n' "$MINE" "$CRASH" >"$ETC/plugins.d/70-bad.yaml"
if [ "$(uname -m)" != aarch64 ]; then
    run singularity build x.sif memory://image
    expect_failure
    expect_err "plugin memory-source .*its object cannot be loaded: .* is built for another machine \(aarch64"
    run singularity config check
    expect_rc 255
    expect_out "^error: .*70-bad\.yaml:1: plugin memory-source: its object .*/memory-source\.so is built for another machine \(aarch64"
fi
run singularity build x.sif broken-crash-entry://x
expect_failure
expect_err "plugin broken-crash-entry crashed: [a-z ]+ in .*broken-crash-entry\.so"
others_work
rm "$MINE/memory-source.so"
run singularity config check
expect_rc 255
expect_out "^error: .*70-bad\.yaml:1: plugin memory-source: its object .*/memory-source\.so cannot be read: No such file"
rm "$ETC/plugins.d/70-bad.yaml"
fresh

check "directories that others may write are not used"
printf 'plugins: [{manifest: %s/plugin.yaml}]\n' "$MINE" >"$ETC/plugins.d/70-open.yaml"
chmod o+w "$MINE"
ok singularity plugin list
expect_err "plugin .* is not active: .*plugin\.yaml: is not used, because of .*mine, which other users may write to"
others_work
chmod o-w "$MINE"
touch -d '1 minute ago' "$ETC/plugins.d/70-open.yaml" # an index of fresh files is not kept
ok singularity plugin inspect memory-source
chmod o+w "$MINE"
run singularity build --sandbox d4 memory://image # by the index of before
expect_failure
expect_err "is not loaded, because of .*mine, which other users may write to"
chmod o-w "$MINE"
rm "$ETC/plugins.d/70-open.yaml"

check "two plugins that claim one scheme: the later file wins, and the list says so"
ok singularity plugin install "$MINE"
mkdir second && cp "$MINE/memory-source.so" second/second.so
sed 's/^object: .*/object: second.so/' "$MINE/plugin.yaml" >second/plugin.yaml
# The same object under another name refuses to be it, which is enough to see who is asked.
sed -i 's/^name: .*/name: second/' second/plugin.yaml
printf 'plugins: [{manifest: %s/second/plugin.yaml}]\n' "$PWD" >"$ETC/plugins.d/80-second.yaml"
ok singularity plugin list
expect_out '^memory-source .*bootstrap memory comes from plugin second, registered later \(.*80-second\.yaml:1\)'
expect_out '^second .*active'
run singularity build x.sif memory://image
expect_failure
expect_err 'plugin second'
mv "$ETC/plugins.d/80-second.yaml" "$ETC/plugins.d/10-second.yaml"
ok singularity plugin list
expect_out '^second .*bootstrap memory comes from plugin memory-source, registered later \(.*60-memory-source\.yaml:3\)'
ok singularity build --sandbox d4 memory://image
rm -r "$ETC/plugins.d/10-second.yaml" d4
ok singularity plugin remove memory-source

check "any plugin can be switched off and on; what has no effect is not left behind"
ok singularity plugin disable oci-archive
run singularity build x.sif "oci-archive:$IMAGES/tiny.oci.tar"
expect_failure
ok singularity plugin enable oci-archive
listing >after
diff before after || fail "something is left"
printf 'plugins: [{name: oci-archive, enabled: no}]\n' >"$ETC/plugins.d/99-last.yaml"
run singularity plugin enable oci-archive
expect_failure
expect_err "cannot be enabled here: disabled in .*99-last\.yaml:1"
expect_absent "$ETC/plugins.d/90-oci-archive.yaml"
rm "$ETC/plugins.d/99-last.yaml"
printf 'plugins: [{name: oci-archive, enabled: no}]\n' >"$ETC/plugins.d/50-first.yaml"
ok singularity plugin enable oci-archive
ok singularity build x.sif "oci-archive:$IMAGES/tiny.oci.tar"
ok singularity plugin disable oci-archive
expect_absent "$ETC/plugins.d/90-oci-archive.yaml"
rm "$ETC/plugins.d/50-first.yaml"

if [ "$(id -u)" = 0 ]; then
    for_users() {
        check "an ordinary user installs for himself, and not for others"
        chmod 755 "$MINE"
        run me singularity plugin install "$MINE"
        expect_failure
        expect_err 'cannot write to .*--user|--user keeps one for yourself'
        ok me singularity plugin install --user "$MINE"
        expect_out 'for you'
        ok me singularity build --sandbox d memory://image
        run singularity build --sandbox root.d memory://image # root has none of it
        expect_failure
        ok me singularity plugin disable memory-source
        run me singularity build --sandbox d2 memory://image
        expect_failure
        ok me singularity plugin enable memory-source
        ok me singularity plugin disable oci-archive # the site's, for himself alone
        run me singularity build y.sif "oci-archive:$IMAGES/tiny.oci.tar"
        expect_failure
        ok singularity plugin list
        refuse_out 'oci-archive .*disabled'
        ok me singularity plugin enable oci-archive

        check "a user's directory that others may write is refused"
        chmod o+w "$USER_HOME/.singularity/plugins.d"
        touch "$USER_HOME/.singularity/plugins.d/60-memory-source.yaml"
        run me singularity build --sandbox d2 memory://image
        expect_failure
        expect_err 'plugins registered in .*plugins\.d are not used, because of .*which other users may write to'
        run me singularity plugin install --user "$MINE"
        expect_failure
        expect_err 'no plugin is kept in .*plugins\.d.*other users may write to'
        ok me singularity exec "$T/w/other.sif" true
        chmod o-w "$USER_HOME/.singularity/plugins.d"

        check "a site forbids plugins of users, with file and line"
        printf '# policy\nplugins:\n  user: no\n' >"$ETC/conf.d/30-policy.yaml"
        run me singularity build --sandbox d2 memory://image
        expect_failure
        expect_err 'plugin memory-source is not active \(this site forbids plugins of users \(.*30-policy\.yaml:3\)'
        run me singularity plugin install --user "$MINE"
        expect_failure
        expect_err 'this site forbids plugins of users \(.*30-policy\.yaml:3: plugins\.user\)'
        ok me singularity plugin list
        expect_out '^memory-source .*this site forbids plugins of users'
        ok me singularity exec "$T/w/other.sif" true
        run me env SINGULARITY_PLUGINS_USER=yes singularity build --sandbox d2 memory://image
        expect_failure
        expect_err '30-policy\.yaml:3'
        as_user sh -c 'printf "plugins: {user: yes}\n" >"$HOME/.singularity/config.yaml"'
        run me singularity build --sandbox d2 memory://image
        expect_failure
        expect_err "config\.yaml:1: this site has locked 'plugins\.user' \(.*30-policy\.yaml:3\)"
        as_user rm "$USER_HOME/.singularity/config.yaml"
        ok me singularity plugin remove memory-source # what is there may go
        rm "$ETC/conf.d/30-policy.yaml"
        expect_equal "$(find "$USER_HOME/.singularity" -name 'plugins*')" ""

        check "nothing is written to somebody else's home"
        mkdir -p "$T/homes/stranger" && chown 12345 "$T/homes/stranger"
        run env HOME="$HOMES/stranger" singularity plugin install --user "$MINE"
        expect_failure
        expect_err 'that home belongs to somebody else'
        expect_equal "$(ls -A "$T/homes/stranger")" ""
    }
    mkdir -p "$ETC/conf.d"
    others_work
    chmod 644 other.sif
    WHO=user
    mkdir -p "$T/w/for_users" && cd "$T/w/for_users" && chown $USER_ID:$USER_ID .
    user_namespaces && for_users || note "no user namespaces here: not tried as an ordinary user"
    WHO=root
    cd "$T/w" || exit 1
fi

check "an install that is killed leaves what the next one takes away"
mkdir "$PREFIX/lib/singularity/plugins/.install-abcdef"
: >"$PREFIX/lib/singularity/plugins/.install-abcdef/memory-source.so"
ok singularity plugin install "$MINE"
expect_absent "$PREFIX/lib/singularity/plugins/.install-abcdef"
ok singularity plugin remove memory-source

check "wrong words are wrong usage"
for wrong in install "remove" "enable" "disable" "install $MINE --kind hook" "list --user" "remove x y" "uninstall x"; do
    # shellcheck disable=SC2086 # words
    run singularity plugin $wrong
    expect_rc 1
done
run singularity plugin remove nobody
expect_failure
expect_err "no plugin 'nobody' is registered"
expect_err 'singularity plugin list'
run singularity plugin install nowhere
expect_failure
expect_err "nowhere.*No such file"
run singularity plugin install "$T/w"
expect_failure
expect_err 'there is no plugin\.yaml in it'
tar -C "$MINE" -czf lacking.tar.gz plugin.yaml
run singularity plugin install lacking.tar.gz
expect_failure
expect_err '^FATAL: +lacking\.tar\.gz: lacks the object memory-source\.so'
listing >after
diff before after || fail "something is left"
finish
