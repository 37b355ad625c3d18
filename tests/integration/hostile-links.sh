# Symbolic links at every path that a build writes to, planted by the base, by %setup and by %post: nothing outside of the
# root file system is touched, whoever planted them and whatever is built.
. "$(dirname "$0")/../support/lib.sh"
need_root
LIMIT=120

# %post of root has the /dev that is mounted here: a copy, so that an accident meets nothing else.
mkdir "$T/nodes" && mount -t tmpfs -o mode=755 nodes "$T/nodes" && cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty \
    /dev/fuse /dev/fd /dev/std* /dev/loop* "$T/nodes" && mkdir "$T/nodes/pts" "$T/nodes/shm" && mount --bind "$T/nodes" /dev || skip "no copy of /dev can be made"
baseline

mkdir -p canary/directory && echo safe >canary/file && chmod 640 canary/file
# Files that a build writes or sets attributes of, and directories that it makes or goes through.
FILES=".post.script .build.labels environment singularity .run .exec .shell .test etc/resolv.conf etc/hosts etc/passwd etc/group
    .singularity.d/labels.json .singularity.d/runscript .singularity.d/runscript.help .singularity.d/startscript .singularity.d/test
    .singularity.d/Singularity .singularity.d/env/01-base.sh .singularity.d/env/10-docker2singularity.sh
    .singularity.d/env/90-environment.sh .singularity.d/env/91-environment.sh .singularity.d/env/94-appsbase.sh
    .singularity.d/env/95-apps.sh .singularity.d/env/99-base.sh .singularity.d/env/99-runtimevars.sh .singularity.d/actions/run
    .singularity.d/actions/exec .singularity.d/actions/shell .singularity.d/actions/start .singularity.d/actions/test
    .singularity.d/inspect.json scif/apps/one/scif/runscript scif/apps/one/scif/env/01-base.sh
    scif/apps/one/scif/env/90-environment.sh scif/apps/one/scif/labels.json scif/apps/one/scif/runscript.help opt/copied opt/deep/copied"
TOP=".singularity.d scif opt" BELOW=".singularity.d/env .singularity.d/actions .singularity.d/libs scif/apps/one scif/data opt/deep"
# And where the host's own directories are mounted while %post runs.
MOUNTED="dev proc sys tmp var/tmp root home"

plant() { # FILES, TOP, BELOW...: shell code that plants links in the directory of the root file system where it runs
    local kind path
    echo 'n=0'
    for kind; do
        # shellcheck disable=SC2013
        for path in ${!kind}; do
            # Nothing is removed: should this ever run where a directory of the host is mounted, that must stay as it is.
            case $path in */*) echo "mkdir -p ./${path%/*} 2>/dev/null" ;; esac
            echo "mv -T ./$path ./moved.\$((n = n + 1)) 2>/dev/null; [ -e ./$path ] || ln -s $PWD/canary/$([ "$kind" = FILES ] && echo file || echo directory) ./$path"
        done
    done
    # Out of the root file system by steps, too.
    echo "[ -L ./opt ] || ln -sfn ../../../../../../../../../../../../..$PWD/canary/file ./opt/climbs 2>/dev/null; true"
}
sections() { # what follows the header: every section that writes
    cat <<'END'
%environment
    export A=1
%labels
    A 1
%help
    text
%runscript
    true
%startscript
    true
%test
    true
%apprun one
    true
%appenv one
    export B=1
%applabels one
    B 1
%apphelp one
    text
%appfiles one
    file.txt
%appinstall one
    true
%files
    file.txt /opt/copied
    file.txt /opt/deep/copied
    file.txt /opt/climbs
END
}
echo data >file.txt
look() { (cd canary && find . -printf '%P %y %m %U:%G %s %T@ %l\n' | sort; cat file); }
BEFORE=$(look)
untouched() { # after a build, which may have failed but not by a crash
    case $RC in
    0 | 255) ;;
    *) fail "status $RC"; told ;;
    esac
    expect_equal "$(look)" "$BEFORE" "what lies outside"
    rm -rf out.sif out.d
}
try() { # DEFINITION
    run singularity build --no-cache out.sif "$1"
    untouched
    run singularity build --no-cache --sandbox out.d "$1"
    untouched
}

singularity build --sandbox clean.d "oci:$IMAGES/full.oci:latest" >/dev/null 2>&1 || fail "no base"
for kind in FILES TOP BELOW; do
    more=
    [ $kind != TOP ] || more=MOUNTED
    check "planted by the base: $kind $more"
    rm -rf evil.d && cp -a clean.d evil.d
    (cd evil.d && eval "$(plant $kind $more)")
    rm -f evil.sif
    run singularity build evil.sif evil.d # links that go round in circles are refused
    untouched
    for base in evil.d evil.sif; do
        [ -e $base ] || continue
        { printf 'Bootstrap: localimage\nFrom: %s\n' "$base"; sections; } >base.def
        try base.def
        { cat base.def; printf '%%post\n    echo A=1 >>$SINGULARITY_ENVIRONMENT || true\n    echo a b >>$SINGULARITY_LABELS || true\n'; } >post.def
        try post.def
    done
    # As a stage that files are taken from, and as a directory that is changed.
    printf 'Bootstrap: localimage\nFrom: evil.sif\nStage: one\n\nBootstrap: localimage\nFrom: evil.d\n%%files from one\n    /opt /opt\n    /etc/os-release /opt/climbs\n' >stages.def
    try stages.def
    run singularity build --update --sandbox evil.d post.def
    untouched

    check "planted by %setup: $kind"
    { printf 'Bootstrap: localimage\nFrom: clean.d\n%%setup\n    cd "$SINGULARITY_ROOTFS"\n'; plant $kind $more | sed 's/^/    /'; sections; printf '%%post\n    true\n'; } >setup.def
    try setup.def

    check "planted by %post: $kind"
    { printf 'Bootstrap: localimage\nFrom: clean.d\n'; sections; printf '%%post\n    set +e\n    cd /\n'; plant $kind | sed 's/^/    /'; } >planted.def
    try planted.def
done

check "the same where no overlay can be had"
touch nothing && mount --bind nothing /dev/fuse 2>/dev/null
{ printf 'Bootstrap: localimage\nFrom: evil.sif\n'; sections; printf '%%post\n    true\n'; } >base.def
try base.def
umount /dev/fuse 2>/dev/null

expect_nothing_left
finish
