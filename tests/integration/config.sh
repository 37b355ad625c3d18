# Configuration: layers, origins, locks, errors; and the compiled index that must never be older than the files.
. "$(dirname "$0")/../support/lib.sh"
own_prefix
ETC=$PREFIX/etc/singularity
mkdir -p "$ETC/conf.d" "$HOME/.singularity"

check "config show prints values, and with --origin where they come from"
ok singularity config show
expect_out 'mount'
ok singularity config show --origin build.compress
ok singularity config show build.threads
check "each layer beats the one before"
echo 'build: {threads: 3}' >"$ETC/conf.d/10-site.yaml"
ok singularity config show build.threads
expect_out '(^|[^0-9])3$'
ok singularity config show --origin build.threads
expect_out '10-site\.yaml:1'
echo 'build: {threads: 4}' >"$ETC/conf.d/20-site.yaml"
ok singularity config show --origin build.threads
expect_out '20-site\.yaml:1'
expect_out '4'
printf '\nbuild:\n  threads: 5\n' >"$HOME/.singularity/config.yaml"
ok singularity config show --origin build.threads
expect_out 'config\.yaml:3'
expect_out '5'

check "a lock of the site binds users, variables and the command line, and names itself"
printf 'build: {threads: 3}\nlocks: [build.threads]\n' >"$ETC/conf.d/25-lock.yaml"
run singularity --set build.threads=9 config show build.threads
expect_failure
expect_err '25-lock\.yaml:2'
expect_err '^FATAL: .*--set'
rm "$HOME/.singularity/config.yaml"
export SINGULARITY_BUILD_THREADS=9
run singularity cache list
expect_failure
expect_err "^FATAL: .*SINGULARITY_BUILD_THREADS: this site has locked 'build.threads' .*25-lock\.yaml:2"
ok singularity config show build.threads
expect_equal "$OUT" 3
expect_err "^WARNING: .*SINGULARITY_BUILD_THREADS: this site has locked 'build.threads' .*25-lock\.yaml:2"
export SINGULARITY_BUILD_THREADS=3 # what the lock says anyway is nobody's harm
ok singularity cache list
unset SINGULARITY_BUILD_THREADS
printf '\n\nbuild: {threads: 9}\n' >"$HOME/.singularity/config.yaml"
run singularity cache list
expect_failure
expect_err "^FATAL: .*config\.yaml:3: this site has locked 'build.threads' .*25-lock\.yaml:2"
ok singularity config show --origin build.threads
expect_out '^build.threads: 3 .*25-lock\.yaml:1, locked by .*25-lock\.yaml:2'
expect_err "^WARNING: .*config\.yaml:3: this site has locked 'build.threads' .*25-lock\.yaml:2"
ok singularity help
rm "$HOME/.singularity/config.yaml"
run singularity build --processors 9 x.sif "oci:$IMAGES/tiny.oci"
expect_failure
expect_err "^FATAL: .*--processors: this site has locked 'build.threads' .*25-lock\.yaml:2"
expect_absent x.sif
rm "$ETC/conf.d/25-lock.yaml"

check "an option that acts against a locked key is refused as well"
mkdir -p "$T/scratch"
printf 'bind:\n  paths: [%s]\nmount: {tmp: yes, home: yes}\ngpu: {nv: no}\nlocks: [bind.paths, mount.tmp, mount.home, gpu.nv]\n' "$T/scratch" >"$ETC/conf.d/25-lock.yaml"
ok singularity build locked.sif "oci:$IMAGES/tiny.oci"
for words in '--no-mount bind-paths' "--no-mount $T/scratch" '--no-mount tmp' '--no-home' '--no-mount home' '--nv'; do
    # shellcheck disable=SC2086
    run singularity exec $words locked.sif true
    expect_failure
    expect_err "^FATAL: .*${words%% *}.*: this site has locked '[a-z.]*' .*25-lock\.yaml:5"
done
ok singularity exec --no-mount proc locked.sif true
rm "$ETC/conf.d/25-lock.yaml"

check "an index is never older than the files"
printf 'build: {threads: 6}\n' >"$HOME/.singularity/config.yaml"
ok singularity config show build.threads
expect_out '6'
# The same size and the same time to the second: only finer marks tell them apart.
printf 'build: {threads: 7}\n' >"$HOME/.singularity/config.yaml"
ok singularity config show build.threads
expect_out '7'
rm "$HOME/.singularity/config.yaml"
ok singularity config show build.threads
expect_out '4'
rm "$ETC/conf.d/20-site.yaml"
ok singularity config show build.threads
expect_out '3'
check "a damaged index is not used"
while read -r index; do
    printf 'garbage' | dd of="$index" bs=1 seek=100 conv=notrunc 2>/dev/null
    ok singularity config show build.threads
    expect_out '3'
    : >"$index"
    ok singularity config show build.threads
    expect_out '3'
done < <(find "$PREFIX" "$HOME" -name '*index*' -type f ! -name '*.yaml' ! -name '*.hpp' ! -name '*.h')

check "a wrong file is an error with file, line and the nearest known key"
printf 'build:\n  thread: 4\n' >"$ETC/conf.d/30-wrong.yaml"
run singularity config show
expect_failure
expect_err '30-wrong\.yaml:2'
expect_err 'build\.threads'
printf 'build:\n  threads: many\n' >"$ETC/conf.d/30-wrong.yaml"
run singularity config show
expect_failure
expect_err '30-wrong\.yaml:2'
printf 'build: [\n' >"$ETC/conf.d/30-wrong.yaml"
run singularity config show
expect_failure
expect_err '30-wrong\.yaml'
rm "$ETC/conf.d/30-wrong.yaml"
run singularity config show no.such.key
expect_failure
expect_err 'no\.such\.key'

check "version and help work with a configuration that does not"
printf 'build: [\n' >"$ETC/conf.d/30-wrong.yaml"
ok singularity version
ok singularity help
rm "$ETC/conf.d/30-wrong.yaml"

if [ "$(id -u)" = 0 ]; then
    check "packages compile the index also in a root file system that has no /proc yet"
    ln -s "$PREFIX/bin/singularity" linked
    for program in singularity ./linked; do
        ok unshare --mount --propagation private bash -c "while umount -l /proc 2>/dev/null; do :; done; [ ! -e /proc/self ] && $program config compile && $program config show build.threads"
        expect_out '3'
    done
fi

check "a key that changes behaviour does"
ok singularity build x.sif "oci:$IMAGES/tiny.oci"
echo 'mount: {home: no}' >"$ETC/conf.d/40-home.yaml"
touch "$HOME/marker"
run singularity exec --pwd / x.sif ls "$HOME/marker"
[ "$RC" != 0 ] || fail "the home is mounted although the site says no"
rm "$ETC/conf.d/40-home.yaml"
finish
