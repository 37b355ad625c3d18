#!/bin/bash
# test.sh PROGRAM MANIFEST: registers the plugin in a home of its own and uses it.
set -euo pipefail
program=$1 manifest=$2
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
export HOME=$T
mkdir -p "$HOME/.singularity/plugins.d"
echo "plugins: [{manifest: $manifest}]" >"$HOME/.singularity/plugins.d/plugin.yaml"
cd "$T"
"$program" plugin test "$(dirname "$manifest")" --with @NAME@://world  # against the contracts of the SDK
"$program" build --sandbox image.d @NAME@://world
[ "$(cat image.d/greeting)" = "hello world" ]
if "$program" build --sandbox none.d @NAME@:// 2>error.txt; then exit 1; fi
grep -q 'name somebody' error.txt
test ! -e none.d
