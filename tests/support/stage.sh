#!/bin/bash
# Prepares what all integration tests share, below $SG_STAGE: prefix/ (the product, installed), images/ and
# fixtures-gcc/, fixtures-clang/ (the out-of-tree plugins, built against prefix/). Repeating it costs little.
set -euo pipefail
umask 022
: "${SG_STAGE:?}" "${SG_SOURCE:?}" "${SG_BUILD:?}"
mkdir -p "$SG_STAGE/work"
chmod 755 "$SG_STAGE"
chmod 1777 "$SG_STAGE/work"

echo "== install"
rm -rf "$SG_STAGE/prefix"
cmake --install "$SG_BUILD" --prefix "$SG_STAGE/prefix" >/dev/null

echo "== images"
bash "$SG_SOURCE/tests/support/make-images.sh" "$SG_STAGE/images"

echo "== fixtures"
# The plugins see the installed SDK and nothing of the tree: they are copied away from it first.
rm -rf "$SG_STAGE/fixtures-source"
cp -r "$SG_SOURCE/sdk/fixtures" "$SG_STAGE/fixtures-source"
build() { # COMPILERS C C++
    local folder=$SG_STAGE/fixtures-$1 launcher=()
    command -v ccache >/dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_C_COMPILER_LAUNCHER=ccache)
    CC=$2 CXX=$3 cmake -S "$SG_STAGE/fixtures-source" -B "$folder" -G Ninja -DCMAKE_PREFIX_PATH="$SG_STAGE/prefix" \
        -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_INSTALL_PREFIX="$SG_STAGE/plugins-$1" "${launcher[@]}" >/dev/null
    cmake --build "$folder" -- --quiet
    rm -rf "$SG_STAGE/plugins-$1"
    cmake --install "$folder" >/dev/null
    echo "built with $($3 --version | head -n 1)"
}
export CCACHE_BASEDIR=$SG_STAGE
build gcc gcc g++
if command -v clang++ >/dev/null; then
    build clang clang clang++
else
    echo "no clang here: fixtures are built with GCC only"
fi
