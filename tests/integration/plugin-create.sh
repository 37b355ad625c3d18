# New plugins from the templates: each builds against the installed SDK with both compilers and passes its own test.
. "$(dirname "$0")/../support/lib.sh"
compilers=("gcc g++")
command -v clang++ >/dev/null && compilers+=("clang clang++")

for compiler in "${compilers[@]}"; do
    read -r c cxx <<<"$compiler"
    for template in bootstrap:c++ bootstrap:c command:c++ format:c++ hook:c++ launcher:c++ transport:c++; do
        kind=${template%:*} language=${template#*:} name=my-$kind
        check "$c: a new $kind in $language builds, and its test passes"
        rm -rf "$name"
        ok singularity plugin create "$name" --kind "$kind" --lang "$language"
        expect_out "cmake -S $name"
        ! grep -r '@NAME@' "$name" || fail "a place was not filled in"
        lines=$(grep -cvE '^ *(//.*|/\*.*\*/)?$' "$name"/plugin.c*)
        [ "$lines" -le 60 ] || fail "$lines lines of the author's own"
        if ! CC=$c CXX=$cxx cmake -S "$name" -B "$name/build" -DCMAKE_PREFIX_PATH="$PREFIX" \
            -DCMAKE_C_FLAGS="-Wall -Wextra -Werror" -DCMAKE_CXX_FLAGS="-Wall -Wextra -Werror" >log 2>&1 ||
            ! cmake --build "$name/build" >log 2>&1 || ! ctest --test-dir "$name/build" --output-on-failure >log 2>&1; then
            fail "$kind in $language does not build or work"
            tail -n 30 log
        fi
        expect_equal "$(nm -D --defined-only "$name/build/$name.so" | awk '{print $3}')" singularity_plugin
        [ $kind = command ] || continue
        ok singularity plugin install --user "$name/build"
        ok singularity help "$name"
        expect_equal "$(head -n 1 "$T/out")" "Usage: singularity $name [options] [NAME...]"
        ok singularity plugin remove --user "$name"
    done
done

check "by pkg-config as well, from an install that was moved"
own_prefix
if command -v pkg-config >/dev/null; then
    PKG_CONFIG_PATH=$(dirname "$(find "$PREFIX" -name singularity.pc)")
    export PKG_CONFIG_PATH
    singularity plugin create by-hand --kind bootstrap --lang c >/dev/null
    # shellcheck disable=SC2046 # words
    gcc -shared -fPIC -fvisibility=hidden $(pkg-config --cflags singularity) by-hand/plugin.c -o by-hand/by-hand.so \
        -Wl,--version-script="$(pkg-config --variable=versionscript singularity)" || fail "it does not compile"
    mkdir -p "$HOME/.singularity/plugins.d"
    echo "plugins: [{manifest: $PWD/by-hand/plugin.yaml}]" >"$HOME/.singularity/plugins.d/60-by-hand.yaml"
    ok singularity build --sandbox hand.d by-hand://you
    expect_equal "$(cat hand.d/greeting)" "hello you"
    ok singularity plugin disable --user by-hand
    run singularity build --sandbox off.d by-hand://you
    expect_failure
    expect_err 'plugin by-hand is not active .disabled in '
    expect_err 'Run: singularity plugin enable by-hand'
    ok singularity plugin enable --user by-hand
    [ -d "$(pkg-config --variable=plugindir singularity)" ] || fail "plugindir is not where plugins are"
fi

check "what cannot be made leaves nothing"
mkdir taken
before=$(ls -A)
for wrong in "create" "create Name --kind bootstrap" "create ../out --kind bootstrap" "create a/b --kind hook" \
    "create x" "create x --kind nothing" "create x --kind ../bootstrap" "create x --kind hook --lang rust" "list --kind hook"; do
    # shellcheck disable=SC2086 # words
    run singularity plugin $wrong
    expect_rc 1
done
run singularity plugin create x --kind nothing
expect_err 'Kinds: bootstrap, command, format, hook, launcher, transport; with --lang c: bootstrap'
run singularity plugin create taken --kind hook
expect_failure
expect_err "'taken' exists already"
run singularity plugin create native --kind hook
expect_failure
expect_err "'native' is registered already: .*plugin\.yaml"
expect_equal "$(ls -A)" "$before"
expect_equal "$(ls -A taken)" ""
finish
