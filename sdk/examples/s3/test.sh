#!/bin/bash
# test.sh PROGRAM MANIFEST: fetches an image from s3rver, through a door that shuts in the middle of it. Needs s3rver (npm), curl,
# python3 and the program of Debian's busybox-static.
set -euo pipefail
program=$1 manifest=$2
here=$(cd "$(dirname "$0")" && pwd)
server=$here/node_modules/.bin/s3rver
[ -x "$server" ] || { echo "SKIPPED: s3rver is not there; 'npm ci' in $here installs it"; exit 77; }
T=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait; rm -rf "$T"' EXIT
export HOME=$T
unset "${!AWS_@}" "${!SINGULARITY_@}"
mkdir -p "$T/.singularity/plugins.d"
echo "plugins: [{manifest: $manifest}]" >"$T/.singularity/plugins.d/s3.yaml"
cd "$T"

wait_for() { # FILE PATTERN: prints the first match of the pattern
    for _ in {1..200}; do
        grep -oEm 1 "$2" "$1" && return
        sleep 0.1
    done
    echo "no '$2' in $1:" >&2
    cat "$1" >&2
    return 1
}
refused() { # PATTERN COMMAND...: it fails, says so, and its secret is nowhere
    local pattern=$1
    shift
    if "$@" >output.txt 2>&1; then echo "'$*' did not fail" >&2; exit 1; fi
    grep -qE "$pattern" output.txt || { cat output.txt >&2; exit 1; }
    ! grep -qE 'the-secret|Signature=|wrong-secret' output.txt
}

"$server" -d "$T/store" -a 127.0.0.1 -p 0 --no-vhost-buckets --configure-bucket lab >s3rver.log 2>&1 &
pids+=($!)
port=$(wait_for s3rver.log '127.0.0.1:[0-9]+')
python3 "$here/door.py" "${port#*:}" S3RVER the-secret >door.log 2>&1 &
pids+=($!)
door=$(wait_for door.log 'door [0-9]+')
door=127.0.0.1:${door#door }

mkdir -p box/bin
cp "$(command -v busybox)" box/bin/sh
"$program" build --silent x.sif box
# Put there by a client that is not ours, below a name that must be encoded; it gets through the door as well.
curl -sS --fail -T x.sif "http://$port/lab/my%20images/x%2B1.sif" >/dev/null
curl -sS --fail --aws-sigv4 aws:amz:us-east-1:s3 --user S3RVER:the-secret -H "x-amz-content-sha256: UNSIGNED-PAYLOAD" \
    -I "http://$door/lab/my%20images/x%2B1.sif" >/dev/null

export AWS_ENDPOINT_URL_S3=http://$door AWS_ACCESS_KEY_ID=S3RVER AWS_SECRET_ACCESS_KEY=the-secret
"$program" pull fetched.sif "s3://lab/my images/x+1.sif"
cmp x.sif fetched.sif
grep -qF 'GET /lab/my%20images/x%2B1.sif HTTP/1.1 whole' door.log
grep -qE 'GET /lab/my%20images/x%2B1.sif HTTP/1.1 bytes=[1-9][0-9]+-' door.log # it went on where it broke off

# An image that is run is kept: the second time it is only asked whether it is still the same.
"$program" exec "s3://lab/my images/x+1.sif" /bin/sh -c 'exit 0'
gets=$(grep -c '^GET' door.log)
"$program" exec "s3://lab/my images/x+1.sif" /bin/sh -c 'exit 0'
[ "$(grep -c '^GET' door.log)" = "$gets" ]
"$program" pull "s3://lab/my images/x+1.sif"
cmp x.sif x+1.sif

# What goes wrong names the object and why, and nothing is left of it.
refused 's3://lab/none.sif does not exist' "$program" build no.sif s3://lab/none.sif
refused 's3://lab/x.sif: the store refuses it \(403' env AWS_SECRET_ACCESS_KEY=wrong-secret "$program" build no.sif s3://lab/x.sif
refused 'names a bucket and no object' "$program" build no.sif s3://lab
refused 'is no name of a bucket' "$program" build no.sif s3://host:99/x.sif
refused 'no http or https URL' env AWS_ENDPOINT_URL_S3=ftp://here "$program" build no.sif s3://lab/x.sif
test ! -e no.sif

# Keys that the host keeps serve as well, and a bucket's own come first.
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
refused 'the store refuses it \(403' "$program" build no.sif s3://lab/x.sif
auth() { printf '"%s": {"auth": "%s"}' "$1" "$(printf 'S3RVER:%s' "$2" | base64)"; }
(umask 077 && echo "{\"auths\": {$(auth "$door" wrong-secret), $(auth "$door/lab" the-secret)}}" >.singularity/docker-config.json)
"$program" --debug pull --force --disable-cache fetched.sif "s3://lab/my images/x+1.sif" >debug.txt 2>&1
cmp x.sif fetched.sif
# A debug log tells what is asked for, and no secret.
! grep -qE 'the-secret|wrong-secret|Signature=' debug.txt
