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
printf '#@NAME@\nhello=world\nempty=\n' >x.@NAME@
"$program" plugin test "$(dirname "$manifest")" --with "$T/x.@NAME@"  # against the contracts of the SDK
"$program" build --sandbox image.d x.@NAME@
[ "$(cat image.d/hello)" = world ]
printf '#@NAME@\n../hello=world\n' >wrong.@NAME@
if "$program" build --sandbox none.d wrong.@NAME@ 2>error.txt; then exit 1; fi
grep -q 'not NAME=TEXT' error.txt
test ! -e none.d
