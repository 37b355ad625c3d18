# Manual pages and completion: made from what --help says, for verbs of core and of plugins alike.
. "$(dirname "$0")/../support/lib.sh"
need_tool mandoc man zsh fish python3

check "every command has a page, and mandoc has nothing to say of any"
pages=$PREFIX/share/man/man1
verbs=$(singularity __complete '' | cut -f 1)
for verb in $verbs; do
    expect_exists "$pages/singularity-$verb.1"
    for below in $(singularity __complete "$verb" '' | grep -v '^:' | cut -f 1); do
        # What completes the first word of a verb without commands below it are values.
        singularity help "$verb" | grep -q '^Commands:' || continue
        expect_exists "$pages/singularity-$verb-$below.1"
        for third in $(singularity help "$verb" "$below" | sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p'); do
            expect_exists "$pages/singularity-$verb-$below-$third.1"
        done
    done
done
expect_exists "$pages/singularity.1"
expect_exists "$pages/singularity-cache-clean.1"
expect_exists "$pages/singularity-hub-user-add.1"
for page in "$pages"/*.1; do
    case $page in */run-singularity.1) continue ;; esac
    # No date, as a page must not change with the day on which it was made; and a NAME is one line, however long.
    mandoc -Tlint -W style "$page" 2>&1 | grep -v 'missing date' | grep -v 'longer than 80 bytes' >"$T/lint"
    [ ! -s "$T/lint" ] || { fail "$(basename "$page")"; head -3 "$T/lint"; }
done

check "man shows them"
run env MANWIDTH=200 man -l "$pages/singularity-exec.1"
expect_rc 0
expect_out 'singularity exec \[options\] IMAGE COMMAND'
expect_out '-B, --bind SPEC'
expect_out 'SINGULARITY_OVERLAY'
ok env MANWIDTH=200 MANPATH="$PREFIX/share/man" man run-singularity
expect_out 'singularity run'
check "help --man prints one, of a plugin's verb too"
ok singularity help --man key list
expect_out '^\.TH "SINGULARITY.*KEY.*LIST" 1'
ok singularity help --man
expect_out 'docker'
run singularity help --man key lst
expect_failure 1

check "a plugin's scheme is completed as soon as it is registered, and no longer"
complete() { singularity __complete "$@" | cut -f 1 | sort | tr '\n' ' '; }
expect_equal "$(complete run docker-a)" ":files docker-archive:// "
mkdir -p "$HOME/.singularity/plugins.d"
echo 'plugins: [{name: docker-archive, enabled: false}]' >"$HOME/.singularity/plugins.d/50-test.yaml"
expect_equal "$(complete run docker-a)" ":files "
rm -r "$HOME/.singularity/plugins.d"

check "a verb that only an option leads to is in no list, and stops no page"
mkdir -p "$HOME/.singularity/plugins.d" pages
echo "plugins: [{manifest: $(find "$SG_STAGE/plugins-gcc" -path '*/hello-command/plugin.yaml')}]" >"$HOME/.singularity/plugins.d/50-test.yaml"
expect_equal "$(complete hello)" "hello hellos "
expect_equal "$(complete hellos '')" "again count "
ok singularity help --man-pages pages
expect_exists pages/singularity-hellos-count.1
expect_absent pages/singularity-hellos-build.1
rm -r "$HOME/.singularity/plugins.d"

check "options, verbs below, choices, values behind an equals sign"
expect_equal "$(complete ex)" "exec "
expect_equal "$(complete cache '')" "clean list "
expect_equal "$(complete key ex)" "export "
expect_equal "$(complete hub user a)" "add "
expect_equal "$(complete exec --bin)" "--bind "
expect_equal "$(complete -q --set a=b exec --bin)" "--bind "
expect_equal "$(complete verify --legacy)" "--legacy-insecure "
expect_equal "$(complete completion '')" "bash fish zsh "
expect_equal "$(complete config show cache.dis)" "cache.disable "
expect_equal "$(complete --set cache.dis)" "cache.disable= "
expect_equal "$(complete exec --set=cache.dis)" "--set=cache.disable= "
expect_equal "$(complete build --disable-cache x.sif docker-d)" ":files docker-daemon:// "
expect_equal "$(complete exec x.sif sh --b)" ":files "
expect_equal "$(complete exec --pid-file 2>&1)" ""
expect_equal "$(complete nonsense x '')" ""
check "nothing is printed as an error, whatever is wrong"
run singularity __complete cache nonsense ''
expect_rc 0
expect_equal "$OUT$ERR" ""

check "images of the cache and instances are known"
ok singularity exec "oci-archive:$IMAGES/full.oci.tar" true
cached=$(find "$HOME/.singularity/cache" -name '*.sif' | head -1)
name=$(basename "$cached")
expect_equal "$(complete cache clean --name "${name:0:3}")" "$name "
expect_equal "$(complete exec "${name:0:3}")" "$cached :files "
ok singularity instance start "$cached" web1
expect_equal "$(complete instance stop w)" "web1 "
expect_equal "$(complete exec instance://)" ":files instance://web1 "
ok singularity instance stop web1

check "a real bash, zsh and fish take the scripts"
singularity completion bash >c.bash && singularity completion zsh >_singularity && singularity completion fish >c.fish
ok bash -n c.bash
ok zsh -n _singularity
ok fish -n c.fish
expect_same_file c.bash "$PREFIX/share/bash-completion/completions/singularity"
touch some-image.sif
mkdir -p some-dir
export TERM=dumb
typed() { run python3 "$SUPPORT/type.py" "$@"; expect_rc 0; }
check "bash: what is typed and TAB gives the line"
for case in 'singularity ex|singularity exec ' 'singularity exec docker-a|singularity exec docker-archive://' \
    'singularity exec --bin|singularity exec --bind ' 'singularity run some-i|singularity run some-image.sif ' \
    'singularity run some-d|singularity run some-dir/' 'singularity key ex|singularity key export ' \
    'singularity --set cache.dis|singularity --set cache.disable=' 'singularity exec --bind=some-i|singularity exec --bind=some-image.sif '; do
    typed bash c.bash "${case%|*}"
    expect_equal "$OUT" "${case#*|}" "${case%|*}<TAB>"
done
check "zsh likewise"
for case in 'singularity ex|singularity exec ' 'singularity exec docker-a|singularity exec docker-archive://' \
    'singularity run some-i|singularity run some-image.sif '; do
    typed zsh "$PWD" "${case%|*}"
    expect_equal "$OUT" "${case#*|}" "${case%|*}<TAB>"
done
check "fish likewise"
ok fish -c "source c.fish; complete -C 'singularity exec docker-a'"
expect_out '^docker-archive://'
ok fish -c "source c.fish; complete -C 'singularity run some-i'"
expect_out '^some-image.sif'
finish
