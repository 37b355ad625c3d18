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
"$program" plugin list | grep -q '^@NAME@ *transport'
