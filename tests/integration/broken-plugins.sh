# Plugins that cannot be used: each is refused with a message that names it, and nothing else stops working.
. "$(dirname "$0")/../support/lib.sh"
own_prefix
ETC=$PREFIX/etc/singularity
P=$(dirname "$(find "$SG_STAGE/plugins-gcc" -path '*/broken-no-entry/plugin.yaml')")/..

register() { # NAME: line 3 of the file
    printf '# broken\nplugins:\n  - {manifest: %s, enabled: true}\n' "$1" >"$ETC/plugins.d/60-broken.yaml"
}

for kind in wrong-magic newer-abi no-table no-entry crash-entry fail-start; do
    check "$kind: refused with plugin, object and registration"
    register "$P/broken-$kind/plugin.yaml"
    run singularity build x.sif broken-$kind://x
    [ "$RC" != 0 ] || fail "it did not fail"
    expect_err "(FATAL|ERROR): .*broken-$kind"
    expect_absent x.sif
    [ $kind = crash-entry ] || [ $kind = fail-start ] || expect_err '60-broken\.yaml'
    [ $kind != crash-entry ] || expect_err "broken-$kind\.so"
    [ $kind != fail-start ] || expect_err 'the licence of this plugin has run out'
    check "$kind: others work beside it"
    ok singularity build --force y.sif "oci:$IMAGES/tiny.oci"
    ok singularity plugin list
    expect_out "broken-$kind"
done

check "an object that is missing, empty, no object, or of another machine"
cp -r "$P/broken-no-table" copy
register "$PWD/copy/plugin.yaml"
for damage in missing empty text truncated machine unreadable; do
    rm -rf copy/broken-no-table.so
    cp "$P/broken-no-table/broken-no-table.so" copy/
    case $damage in
    missing) rm copy/broken-no-table.so ;;
    empty) : >copy/broken-no-table.so ;;
    text) echo "no object" >copy/broken-no-table.so ;;
    machine) printf '\xf3\x00' | dd of=copy/broken-no-table.so bs=1 seek=18 conv=notrunc 2>/dev/null ;; # RISC-V
    unreadable) rm copy/broken-no-table.so && mkdir copy/broken-no-table.so ;; # for root, too
    truncated) truncate -s 3000 copy/broken-no-table.so ;;
    esac
    run singularity build x.sif broken-no-table://x
    [ "$RC" != 0 ] || fail "$damage: it did not fail"
    expect_err "broken-no-table"
    expect_absent x.sif
    ok singularity version
done

check "a manifest that is wrong names its file and line"
printf 'name: copy\nobject: copy.so\nabi: 1\nversion: 1.0.0\nprovides:\n  - bootstrap: {schema: x}\n' >copy/plugin.yaml
run singularity build --force y.sif "oci:$IMAGES/tiny.oci"
expect_err 'copy/plugin\.yaml'
printf 'name: copy\nobject: copy.so\nabi: 99\nversion: 1.0.0\nprovides:\n  - bootstrap: {scheme: copy, summary: s, example: e}\n' >copy/plugin.yaml
run singularity build x.sif copy://x
[ "$RC" != 0 ] || fail "abi 99 was accepted"
expect_err '(abi|ABI).*99|99.*(abi|ABI)'

check "a manifest of 100 MB is refused by its size, and all else goes on"
truncate -s 100M copy/plugin.yaml
run singularity plugin list
expect_rc 0
expect_err 'copy/plugin\.yaml.*larger than 8 MiB'
ok singularity build --force y.sif "oci:$IMAGES/tiny.oci"
run singularity plugin test copy
expect_failure
expect_err 'larger than 8 MiB'

check "two plugins with the same scheme"
sed 's/^name: .*/name: second/; s/broken-no-table$/x/; s/scheme: .*/scheme: oci/' "$P/broken-no-table/plugin.yaml" >copy/plugin.yaml
run singularity plugin list
[ "$RC" = 0 ] || expect_err 'oci'
rm "$ETC/plugins.d/60-broken.yaml"
ok singularity build --force y.sif "oci:$IMAGES/tiny.oci"
finish
