# The worked examples of the SDK, as authors get them: each builds out of tree against the installed SDK with both compilers
# and passes its own tests.
NPM_HOME=${NPM_HOME:-$HOME} # where npm finds its settings
. "$(dirname "$0")/../support/lib.sh"
need_tool cmake curl python3 setfattr busybox
compilers=("gcc g++")
command -v clang++ >/dev/null && compilers+=("clang clang++")

cp -r "$PREFIX/share/singularity/examples" "$T/examples"
if command -v npm >/dev/null &&
    (cd "$T/examples/s3" && HOME=$NPM_HOME timeout 120 npm ci --ignore-scripts --no-audit --no-fund >"$T/npm.log" 2>&1); then
    s3rver=yes
else
    s3rver=no
    note "s3rver could not be installed: the transport s3 is tried by signatures alone"
fi

for compiler in "${compilers[@]}"; do
    read -r c cxx <<<"$compiler"
    for example in "$T"/examples/*/; do
        name=$(basename "$example")
        build=$T/build-$c/$name
        check "$c: the example $name builds without a warning, and exports its entry alone"
        if ! CC=$c CXX=$cxx cmake -S "$example" -B "$build" -DCMAKE_PREFIX_PATH="$PREFIX" -DCMAKE_CXX_FLAGS=-Werror >log 2>&1 ||
            ! cmake --build "$build" >log 2>&1; then
            fail "it does not build"
            tail -n 30 log
            continue
        fi
        expect_equal "$(nm -D --defined-only "$build/$name.so" | awk '{print $3}')" singularity_plugin

        check "$c: the example $name passes its tests"
        ctest --test-dir "$build" --output-on-failure >log 2>&1 || {
            fail "they fail"
            tail -n 60 log
        }
        grep -E 'Skipped|SKIPPED' log | while read -r line; do note "$line"; done
        check "$c: the example $name keeps the contracts that plugin test checks"
        run singularity plugin test "$build"
        [ "$RC" = 0 ] || { fail "it does not"; grep -A9 '^FAILED' "$T/out" | cut -c1-400; }
        check "$c: the example $name is installed, listed and removed by the verbs for it"
        ok singularity plugin install --user "$build"
        ok singularity plugin list
        expect_out "^$name .*$HOME/.singularity/plugins/$name"
        ok singularity help "$name"
        ok singularity plugin remove --user "$name"
        ok singularity plugin list
        refuse_out "^$name "
    done
done

check "the examples that need no right work for a user"
if [ $FUSE_FOR_USERS = yes ] && user_namespaces; then
    chmod -R a+rX "$T/examples" "$T/build-gcc"
    users=(audit tar)
    [ $s3rver = no ] || users+=(s3)
    for name in "${users[@]}"; do
        # Whoever runs them, HOME and all files are the test's own.
        run as_user bash "$T/examples/$name/test.sh" "$PREFIX/bin/singularity" "$T/build-gcc/$name/plugin.yaml"
        expect_rc 0
    done
else
    note "no FUSE or no user namespaces here: not tried as an ordinary user"
fi
finish
