#!/bin/bash
# test.sh PROGRAM MANIFEST BUILDER: builds Dockerfiles with buildah or podman. Needs the program of Debian's busybox-static.
set -euo pipefail
program=$1 manifest=$2 builder=$3
command -v "$builder" >/dev/null || { echo "SKIPPED: $builder is not here"; exit 77; }
T=$(mktemp -d)
cleanup() { "$builder" unshare rm -rf "$T" 2>/dev/null || rm -rf "$T" || true; }
trap cleanup EXIT
trap 'echo "failed: $BASH_COMMAND (line $LINENO)" >&2; tail -n 20 output.txt >&2' ERR
export HOME=$T CONTAINERS_STORAGE_CONF=$T/storage.conf
unset XDG_RUNTIME_DIR
mkdir -p "$T/.singularity/plugins.d" "$T/tmp"
cd "$T"
printf '[storage]\ndriver = "vfs"\ngraphroot = "%s"\nrunroot = "%s"\n' "$T/graph" "$T/run" >storage.conf
cat >"$T/.singularity/plugins.d/dockerfile.yaml" <<EOF
plugins:
  - manifest: $manifest
    config:
      dockerfile.builder: $builder
      # What works in containers and for users without more ado.
      dockerfile.options: [--isolation=chroot, --network=host, "--ulimit=nofile=1024:1024"]
EOF
export TMPDIR=$T/tmp
same() { [ "$1" = "$2" ] || { echo "got '$1' instead of '$2'" >&2; exit 1; }; }
refused() { # PATTERN COMMAND...
    local pattern=$1
    shift
    if "$@" >output.txt 2>&1; then echo "'$*' did not fail" >&2; exit 1; fi
    grep -qE "$pattern" output.txt || { cat output.txt >&2; exit 1; }
    test ! -e no.sif
}

mkdir context
cp "$(command -v busybox)" context/
cat >context/Dockerfile <<'EOF'
FROM scratch AS base
COPY busybox /bin/sh
COPY busybox /bin/cat
ARG WHO=nobody
RUN echo "hello $WHO" >/greeting
FROM base AS small
RUN echo small >/size
FROM base
RUN echo kept >/kept
ENV COLOUR=green
LABEL maintainer=me
ENTRYPOINT ["/bin/cat"]
CMD ["/greeting"]
EOF

if ! "$program" build x.sif dockerfile://context >output.txt 2>&1; then
    cat output.txt
    # Containers cannot be built everywhere, for one where no user namespace can be made.
    if ! "$builder" build --isolation=chroot --network=host --ulimit=nofile=1024:1024 -t plain context >plain.txt 2>&1; then
        echo "SKIPPED: $builder cannot build here: $(tail -n 1 plain.txt)"
        exit 77
    fi
    exit 1
fi
grep -q 'STEP ' output.txt # the builder's own words are shown
same "$("$program" run x.sif)" "hello nobody"
same "$("$program" exec x.sif /bin/sh -c 'echo $COLOUR')" green
same "$("$program" exec x.sif /bin/cat /kept)" kept
grep -q 'maintainer.*me' <<<"$("$program" inspect --labels x.sif)"
same "$(find tmp -mindepth 1)" "" # the layout is gone

# A stage and an argument, by option and by keyword.
"$program" build --dockerfile-target small --dockerfile-arg "WHO=two words" y.sif dockerfile://context/Dockerfile 2>output.txt
same "$("$program" exec y.sif /bin/cat /greeting /size)" "$(printf 'hello two words\nsmall')"
cat >z.def <<'EOF'
Bootstrap: dockerfile
From: context
Target: small
Args: WHO=you

%environment
    export FROM_DEFINITION=yes
EOF
"$program" build z.sif z.def 2>output.txt
same "$("$program" exec z.sif /bin/cat /greeting /size)" "$(printf 'hello you\nsmall')"
same "$("$program" exec z.sif /bin/sh -c 'echo $FROM_DEFINITION')" yes
same "$(cd context && "$program" run dockerfile://. 2>../output.txt)" "hello nobody"

# What goes wrong.
mkdir empty broken
printf 'FROM scratch\nCOPY missing /\n' >broken/Containerfile
refused 'empty has no Dockerfile' "$program" build no.sif dockerfile://empty
refused 'nowhere is neither a directory' "$program" build no.sif dockerfile://nowhere
refused "FATAL: .*$builder failed with status" "$program" build no.sif dockerfile://broken
refused "'WHO' is no NAME=VALUE" "$program" build --dockerfile-arg WHO no.sif dockerfile://context

# Interrupted, it ends at once, and all that it started with it.
mkdir slow
cp context/busybox slow/
printf 'FROM scratch\nCOPY busybox /bin/sh\nCOPY busybox /bin/sleep\nRUN echo waits; sleep 9%d\n' $$ >slow/Dockerfile
env --default-signal=INT "$program" build no.sif dockerfile://slow >slow.txt 2>&1 &
pid=$!
for _ in {1..200}; do
    ! grep -qs '^waits' slow.txt || break
    sleep 0.1
done
kill -INT $pid
if wait $pid; then echo "it did not fail" >&2; exit 1; fi
for _ in {1..100}; do
    pgrep -f "sleep 9$$" >/dev/null || break
    sleep 0.1
done
if pgrep -f "sleep 9$$"; then echo "its commands were left" >&2; exit 1; fi
test ! -e no.sif

sed -i "s/builder: .*/builder: no-such-builder/" .singularity/plugins.d/dockerfile.yaml
refused "'no-such-builder' is not on this machine" "$program" build no.sif dockerfile://context
same "$(find tmp -mindepth 1)" ""
