#!/bin/bash
# test.sh PROGRAM MANIFEST: registers the hook in a home of its own, runs something, and is refused something. Needs the
# program of Debian's busybox-static.
set -euo pipefail
program=$1 manifest=$2
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
export HOME=$T
mkdir -p "$T/.singularity/plugins.d"
cat >"$T/.singularity/plugins.d/audit.yaml" <<EOF
plugins:
  - manifest: $manifest
    config: {audit.file: $T/audit.log, audit.forbidden: ["*/untrusted/*", "docker://*"]}
EOF
cd "$T"
mkdir -p good/bin untrusted
cp "$(command -v busybox)" good/bin/sh
cp -r good untrusted/image
ln -s untrusted/image innocent

line() { python3 -c "import json, sys; print(json.loads(open('audit.log').read().splitlines()[$1])['$2'])"; }
same() { [ "$1" = "$2" ] || { echo "got '$1' instead of '$2'" >&2; exit 1; }; }
refused() { if "$program" "$@" 2>error.txt; then echo "'$*' was not refused" >&2; exit 1; fi; }

# One line for a run, with who and what.
"$program" exec good /bin/sh -c 'exit 0'
same "$(wc -l <audit.log)" 1
same "$(line 0 verdict)" allowed
same "$(line 0 image)" good
same "$(line 0 path)" "$T/good"
same "$(line 0 uid)" "$(id -u)"
same "$(stat -c %a audit.log)" 600

same "$(line 0 digest)" ''

# The exit status is the program's.
status=0
"$program" exec good /bin/sh -c 'exit 7' || status=$?
same $status 7

# The site's rule holds for the place of an image, whatever name leads there, and is written down as well.
refused exec untrusted/image /bin/sh -c 'echo ran >ran'
grep -qF "the site forbids '*/untrusted/*'" error.txt
refused exec innocent /bin/sh -c 'echo ran >ran'
test ! -e ran
same "$(line 3 verdict)" refused
same "$(line 3 image)" innocent
same "$(line 3 rule)" '*/untrusted/*'

# A name that is no UTF-8, with quotes and a line break, is still one line of JSON.
odd=$'odd\xff"\n'
cp -r good "$odd"
"$program" exec "$odd" /bin/sh -c 'exit 0'
same "$(wc -l <audit.log)" 5
same "$(line 4 verdict)" allowed

# Of an image file the digest is written down.
"$program" build good.sif good 2>/dev/null
"$program" exec good.sif /bin/sh -c 'exit 0'
same "$(line 5 digest)" "sha256:$(sha256sum good.sif | cut -d ' ' -f 1)"

# A file that cannot be written is a warning, and the run goes on.
sed -i "s#$T/audit.log#$T/no/such/directory/log#" .singularity/plugins.d/audit.yaml
"$program" exec good /bin/sh -c 'exit 0' 2>error.txt
grep -q 'audit.file .*No such file' error.txt
