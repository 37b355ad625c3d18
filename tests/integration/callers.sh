# Command lines of workflow managers and site tools, word for word, and what they parse of our output. Options that
# belong to a later issue are noted and their callers left out until they are there.
. "$(dirname "$0")/../support/lib.sh"

ok singularity build full.sif "oci:$IMAGES/full.oci"
chmod 755 full.sif
I=$PWD/full.sif
S=$(command -v singularity)
has() { local o; for o; do knows exec "$o" || return 1; done; }

# A program of two instructions' worth: exit(37).
python3 - "$T/exit_37" <<'P'
import os, struct, sys
code = {"x86_64": (62, bytes.fromhex("bf25000000b83c0000000f05")), "aarch64": (183, bytes.fromhex("a00480d2a80b80d2010000d4"))}.get(os.uname().machine)
if code:
    machine, text = code
    size = 64 + 56 + len(text)
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0x400078, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    with open(sys.argv[1], "wb") as f:
        f.write(head + struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, size, size, 0x1000) + text)
    os.chmod(sys.argv[1], 0o755)
P

callers() {
    local d=$PWD
    me mkdir -p task home bound other
    me sh -c 'echo bound >bound/file; echo "echo task script" >task/.command.run'

    check "Nextflow"
    if has --pid; then
        run me env - PATH="$PATH" SINGULARITYENV_TMP=/tmp SINGULARITYENV_X="a b" "$S" exec --no-home --pid -B "$d/bound" -B "$d/other:$d/other:ro" -B "$d/task" "$I" /bin/sh -c "cd \"$d/task\"; echo \"\$X\"; /bin/sh .command.run nxf_trace"
        expect_rc 0
        expect_equal "$OUT" $'a b\ntask script'
        expect_equal "$ERR" ""
    fi
    # Limits need control groups; an account without says so and starts nothing.
    run me env - PATH="$PATH" "$S" exec --no-home --pid --cpus 1 --memory 100m -B "$d/task" "$I" /bin/sh -c "cd \"$d/task\"; /bin/sh .command.run nxf_trace"
    if [ "$RC" = 0 ]; then
        expect_equal "$OUT" 'task script'
    else
        expect_rc 255
        expect_err '^FATAL: +cannot limit '
        expect_equal "$OUT" ""
    fi
    run me env - PATH="$PATH" "$S" exec --dry-run --cpus 2 --memory 104857600 "$I" true
    expect_out '"limit": *104857600'
    expect_out '"quota": *200000'
    me sh -c "singularity pull --name img.pulling.123 oci:$IMAGES/tiny.oci >/dev/null 2>&1 && mv img.pulling.123 img.img"
    expect_exists img.img

    check "Snakemake"
    run me sh -c "singularity --version"
    expect_equal "$(tail -n 1 <<<"$OUT" | wc -w)" 3 "words of --version"
    if has --home; then
        run me sh -c "cd '$d/task' && SINGULARITYENV_CONDA_PKGS_DIRS=/x singularity --quiet --silent exec --home '$d/task' --bind '$d/bound':'/mnt/snakemake_searchpaths/item_0' $I sh -c 'cat /mnt/snakemake_searchpaths/item_0/file; echo \$CONDA_PKGS_DIRS; pwd'"
        expect_rc 0
        expect_equal "$OUT" "$(printf '%s\n' bound /x "$d/task")"
        expect_equal "$ERR" ""
    fi

    check "cwltool: its probe, its run"
    run me singularity exec --userns "$IMAGES/../images/full.oci" true
    [ "$RC" != 0 ] || fail "a layout was taken for an image"
    if has --userns --ipc --home --mount --contain --no-eval; then
        run me singularity --quiet run --contain --ipc --cleanenv --no-eval --userns --home "$d/home:/var/home" --mount=type=bind,source="$d/bound",target=/var/in,readonly --pwd /var/home "$I" 'a $b' "c'd"
        expect_rc 0
        expect_equal "$OUT" "entry a \$b c'd"
    fi
    run me singularity build --sandbox sb.d "oci:$IMAGES/full.oci"
    run me singularity inspect --json sb.d
    expect_rc 0
    ! command -v jq >/dev/null || jq -e '.data.attributes.labels | length > 0' "$T/out" >/dev/null || fail "no attributes"
    me sh -c 'chmod -R u+rwX sb.d; rm -rf sb.d'

    check "Galaxy"
    if has --ipc --pid --no-mount --home; then
        SINGULARITYENV_K=V run me singularity -s exec --pwd "$d/task" --cleanenv --ipc --pid --no-mount tmp -B "$d/bound:/in:ro" --home "$d/home:$d/home" "$I" sh -c 'cat /in/file; echo $K; pwd'
        expect_rc 0
        expect_equal "$OUT" "$(printf '%s\n' bound V "$d/task")"
    fi

    check "shpc"
    me sh -c 'echo "export SHPC=set" >99-shpc.sh'
    run me singularity exec -B "$d/99-shpc.sh:/.singularity.d/env/99-shpc.sh" "$I" sh -c 'echo $SHPC'
    expect_rc 0
    expect_equal "$OUT" set
    run me singularity inspect -r "$I"
    expect_rc 0
    run me singularity inspect -d "$I"
    expect_rc 0
    run me singularity shell -s /bin/sh "$I" -c 'echo from -s'
    OUT=$(me sh -c "echo 'echo typed' | singularity shell -s /bin/sh $I" 2>"$T/err")
    expect_equal "$OUT" typed

    check "HTCondor: its probe, by an image that holds one program and nothing else"
    if [ -e "$T/exit_37" ]; then
        me mkdir -p probe
        me cp "$T/exit_37" probe/exit_37
        run me singularity build --force exit_37.sif probe
        expect_rc 0
        for image in exit_37.sif probe; do
            run me singularity exec -C $image /exit_37
            expect_rc 37
            expect_equal "$OUT" ""
            run me env -i PATH="$PATH" "$S" exec --contain --ipc --cleanenv $image /exit_37
            expect_rc 37
        done
        run me singularity -s -q test -C exit_37.sif # it has no shell
        expect_rc 255
        run me singularity exec -C "$I" readlink /proc/self/ns/user
        [ "$WHO" = root ] || [ "$OUT" != "$(readlink /proc/self/ns/user)" ] || fail "the user namespace is the host's"
    fi

    check "HTCondor"
    if has --scratch --workdir --containall; then
        run me singularity -s exec -S /tmp -S /var/tmp -W "$d/home" --pwd /task -B "$d/task:/task" -C "$I" status 37
        expect_rc 37
        run me singularity -s -q test -S /tmp -S /var/tmp -W "$d/home" --pwd /task -B "$d/task:/task" -C "$I"
        expect_rc 0
    fi
    run me singularity test "$I"
    expect_rc 0

    check "Arvados"
    run me singularity build arv.sif "docker-archive://$IMAGES/save-new.tar"
    expect_rc 0
    if has --containall --home; then
        run me env -i SINGULARITYENV_A='b c' SINGULARITY_NO_EVAL=1 "$S" exec --containall --cleanenv --pwd=/keep --home "$d/home:/var/lib/cwl" --bind "$d/bound:/keep:ro" arv.sif sh -c 'echo "$A"; cat file'
        expect_rc 0
        expect_equal "$OUT" $'b c\nbound'
    fi

    check "nf-core: a pull that fails says FATAL, and leaves nothing"
    # With the cache the layer that is missing may be there already, converted.
    run me singularity pull --disable-cache --name gone.img "oci:$IMAGES/bad-missing.oci"
    grep -q '^FATAL: ' "$T/err" || fail "no line with FATAL"
    expect_absent gone.img
    run me singularity pull --force --name got.img "oci:$IMAGES/tiny.oci"
    expect_rc 0
    refuse_err 'FATAL: '
    expect_exists got.img

    check "spython"
    run me singularity --quiet pull --name sp.sif --force "oci:$IMAGES/tiny.oci"
    expect_rc 0
    run me singularity build --force sp.sif "oci:$IMAGES/tiny.oci"
    expect_rc 0
    run me singularity inspect -e -d -l -r -H -t --json "$I"
    expect_rc 0
    ! command -v jq >/dev/null || jq -e '.data.attributes.runscript' "$T/out" >/dev/null || fail "no runscript"

    check "Arvados and cwltool without a network"
    run me env -i SINGULARITY_NO_EVAL=1 "$S" exec --containall --cleanenv --pwd=/keep --net --network=none --home "$d/home:/var/lib/cwl" --bind "$d/bound:/keep:ro" "$I" sh -c 'cat file; sed 1,2d /proc/net/dev | cut -d: -f1'
    expect_rc 0
    expect_equal "$(tr -d ' ' <"$T/out")" $'bound\nlo'
    expect_equal "$ERR" ""
    run me singularity --quiet run --contain --ipc --cleanenv --no-eval --pid --home "$d/home:/var/home" --mount=type=bind,source="$d/bound",target=/var/in,readonly --pwd /var/home --net --network none "$I" x
    expect_rc 0

    check "Toil and miniwdl: the command writes beside its directory, SIGTERM stops it"
    me mkdir -p wdl/work
    me touch wdl/work/in # it makes the mount points
    me sh -c "echo 'cat in; pwd; echo trouble >&2; exit 42' >wdl/command"
    local container=/mnt/miniwdl_task_container
    run me singularity --verbose exec --pwd $container/work --add-caps all --containall --no-mount hostfs --fakeroot --bind "$d/wdl:$container" --bind "$d/bound/file:$container/work/in:ro" "$I" /bin/sh -c "/bin/sh ../command >> ../stdout.txt 2>> ../stderr.txt"
    expect_rc 42
    expect_equal "$(cat wdl/stdout.txt) $(cat wdl/stderr.txt)" "bound"$'\n'"$container/work trouble"
    start "$T/toil" me singularity exec --containall --no-mount hostfs "$I" /bin/sh -c 'echo ready; while :; do sleep 0.1; done'
    until_says "$T/toil" ready
    kill -TERM "$PID"
    ended
    expect_rc 143

    check "Open OnDemand: a job in a terminal multiplexer ends when its appinit is killed; its VNC is an instance"
    me sh -c 'echo "echo job \$1; while :; do sleep 0.1; done" >job.sh'
    SINGULARITY_BINDPATH=/etc/hostname,$d:/media/job start "$T/ood" me timeout 120s "$S" exec --contain --pid "$I" /bin/sh /media/job/job.sh of-mine
    until_says "$T/ood" 'job of-mine'
    local p init=
    for p in /proc/[0-9]*; do [ "$(cat "$p/comm" 2>/dev/null)" != appinit ] || init=${p#/proc/}; done
    [ -n "$init" ] || fail "no process is called appinit"
    kill -KILL "$init"
    ended
    [ "$RC" != 0 ] && [ "$RC" != 124 ] || fail "the job goes on: $RC"
    local uuid=3f0c9f5e-3c1f-4f6a-9c51-0d8a2f4b7e11
    ok me singularity instance start "$I" $uuid
    run me singularity exec instance://$uuid sh -c 'echo inside; sleep 60 >/dev/null 2>&1 &'
    expect_equal "$OUT" inside
    ok me singularity instance stop $uuid

    check "set by a caller, these do no harm"
    SINGULARITY_CONTAINER=x SINGULARITY_SHELL=/bin/sh PROMPT_COMMAND=: SINGULARITY_UNKNOWN=1 run me singularity exec "$I" true
    expect_rc 0
}
each_user callers
# The servers of the callers that clear the environment linger as long as the default says.
SETTLE=30
expect_nothing_left
finish
