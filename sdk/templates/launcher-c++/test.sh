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
"$program" plugin test "$(dirname "$manifest")"  # against the contracts of the SDK
# A root with a shell and what it needs.
mkdir -p base/bin
cp -L /bin/sh base/bin/
for file in $(ldd /bin/sh | grep -o '/[^ ]*'); do
    mkdir -p "base$(dirname "$file")"
    cp -L "$file" "base$file"
done
"$program" build --sandbox image.d base
[ "$("$program" --set launcher=@NAME@ exec image.d sh -c 'echo hello; cd /; echo *' | head -n 1)" = hello ]
if "$program" --set launcher=@NAME@ exec --pid image.d true 2>error.txt; then exit 1; fi
grep -q 'cannot wait' error.txt
