# The definition files of the user guide, against registries of this machine: parts of a reference in keys, private images, what
# runs, the cache as a source; and the order in which sections act.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/registry.sh"
need_tool docker-registry skopeo htpasswd python3 busybox
baseline

SECRET='s3cret $%&"word' TOKEN=ngc-api-key
export DOCKER_CONFIG=$T/docker
mkdir -p "$DOCKER_CONFIG" layouts
htpasswd -Bbc "$T/htpasswd" ilumb "$SECRET" 2>/dev/null
# shellcheck disable=SC2016
htpasswd -Bbc "$T/htpasswd.ngc" '$oauthtoken' "$TOKEN" 2>/dev/null
chmod 644 "$T"/htpasswd*
python3 "$SUPPORT/lolcow.py" "$(command -v busybox)" layouts lolcow mylolcow
start_registry hub && HUB=127.0.0.1:$PORT
start_registry private "auth:" "  htpasswd: {realm: tests, path: $T/htpasswd}" && PRIVATE=127.0.0.1:$PORT
start_registry ngc "auth:" "  htpasswd: {realm: tests, path: $T/htpasswd.ngc}" && NGC=127.0.0.1:$PORT
put() { skopeo copy -q --dest-tls-verify=false "${@:3}" "oci:$1" "docker://$2" || fail "skopeo cannot copy $1 to $2"; }
put layouts/lolcow.oci "$HUB/godlovedc/lolcow:latest"
put "$IMAGES/full.oci:latest" "$HUB/library/full:latest"
put layouts/mylolcow.oci "$PRIVATE/ilumb/mylolcow:latest" --dest-creds "ilumb:$SECRET"
# shellcheck disable=SC2016
put layouts/mylolcow.oci "$NGC/nvidia/pytorch:18.11-py3" --dest-creds '$oauthtoken:'"$TOKEN"

define() { printf '%s\n' "${@:2}" >"$1"; } # FILE LINE...
build() { run me singularity build --force x.sif "$@"; }
runs() { # TEXT: what `run` prints; not tried where users have no FUSE
    [ $WHO = root ] || [ $FUSE_FOR_USERS = yes ] || return 0
    run me singularity run x.sif
    expect_rc 0
    expect_out "$1"
}

sources() {
    check "lolcow of the guide: Registry, Namespace and From are one reference; its default namespace is library"
    define d.def 'Bootstrap: docker' "Registry: $HUB" 'Namespace: godlovedc' 'From: lolcow'
    build d.def
    expect_rc 0
    runs 'Repartee is something'
    run me singularity inspect --deffile x.sif
    expect_out '^bootstrap: docker$'
    expect_out '^namespace: godlovedc$'
    expect_out '^from: lolcow$'
    define d.def 'BootStrap: docker' 'From: full' '%runscript' '    echo mine'
    run me singularity --set "registry.default=$HUB/library" build --force x.sif d.def
    expect_rc 0
    runs '^mine$'

    check "a registry in the style of NGC, whose user is called \$oauthtoken"
    define d.def 'BootStrap: docker' "Registry: $NGC" 'From: nvidia/pytorch:18.11-py3'
    build d.def
    expect_failure
    expect_err "Error reading manifest 18.11-py3 in $NGC/nvidia/pytorch: unauthorized"
    expect_err 'SINGULARITY_DOCKER_USERNAME'
    # shellcheck disable=SC2016
    SINGULARITY_DOCKER_USERNAME='$oauthtoken' SINGULARITY_DOCKER_PASSWORD=$TOKEN build d.def
    expect_rc 0
    runs 'Repartee'

    check "a private image: refused without credentials, built with those of the environment, of options and of a login"
    define p.def 'Bootstrap: docker' "From: $PRIVATE/ilumb/mylolcow" '%post' '    echo built >/built' '%runscript' '    cat /built'
    rm -f x.sif
    build p.def
    expect_failure
    expect_err 'authentication required'
    expect_absent x.sif
    SINGULARITY_DOCKER_USERNAME=ilumb SINGULARITY_DOCKER_PASSWORD=$SECRET build --no-cache p.def
    expect_rc 0
    runs '^built$'
    run me singularity inspect --json --all x.sif
    refuse_out 's3cret'
    ok me singularity cache clean --force
    build --docker-username ilumb --docker-password "$SECRET" --no-cache p.def
    expect_rc 0
    ok me singularity cache clean --force
    # What the prompt asks for is typed at a terminal.
    run me env SINGULARITY_DISABLE_CACHE=1 python3 "$SUPPORT/answer.py" 'Username: =ilumb' "Password: =$SECRET" singularity build --force --docker-login x.sif p.def
    expect_rc 0
    refuse_out 's3cret'
    runs '^built$'
    me mkdir -p "$T/docker.$WHO"
    ok me env "DOCKER_CONFIG=$T/docker.$WHO" sh -c "printf %s '$SECRET' | singularity registry login --username ilumb --password-stdin docker://$PRIVATE"
    DOCKER_CONFIG=$T/docker.$WHO SINGULARITY_DISABLE_CACHE=1 build --no-cache p.def
    expect_rc 0
    ok me env "DOCKER_CONFIG=$T/docker.$WHO" singularity registry logout "docker://$PRIVATE"

    check "run does %runscript, else with IncludeCmd CMD, else ENTRYPOINT and CMD, else a shell"
    define d.def 'Bootstrap: docker' "From: $HUB/library/full" '%post' '    ln -s /bin/busybox /bin/cmd 2>/dev/null || true' '%runscript' '    echo mine'
    build d.def
    runs '^mine$'
    define d.def 'Bootstrap: docker' "From: $HUB/library/full"
    build d.def
    runs '^entry cmd two words$'
    for value in yes no; do
        define d.def 'Bootstrap: docker' "From: $HUB/library/full" "IncludeCmd: $value"
        build d.def
        run me singularity inspect --runscript x.sif
        expect_out "^OCI_ENTRYPOINT=''$"
        expect_out '^OCI_CMD=.*"two words"'
    done
    define d.def 'Bootstrap: oci' "From: $IMAGES/tiny.oci"
    build d.def
    if [ $WHO = root ] || [ $FUSE_FOR_USERS = yes ]; then
        run me sh -c 'echo "echo from a shell" | singularity run x.sif'
        expect_out '^from a shell$'
    fi

    check "oci and oci-archive start where the user stands, the cache's own layout is one"
    ok me singularity pull --force p.sif "docker://$HUB/library/full"
    local cache ref
    cache=$(me sh -c 'echo ${SINGULARITY_CACHEDIR:-$HOME/.singularity}/cache/oci')
    ref=$(python3 -c 'import json,sys; print([m["annotations"]["org.opencontainers.image.ref.name"] for m in json.load(open(sys.argv[1]))["manifests"]][-1])' "$cache/index.json")
    me mkdir -p .singularity/cache && me cp -r "$cache" .singularity/cache/oci
    define d.def 'Bootstrap: oci' "From: .singularity/cache/oci:$ref"
    build d.def
    expect_rc 0
    me tar -C .singularity/cache/oci -cf near.tar .
    define d.def 'Bootstrap: oci-archive' "From: near.tar:$ref"
    build d.def
    expect_rc 0
    run me singularity inspect --labels x.sif
    expect_out 'deffile.bootstrap": "oci-archive"'
    expect_out "deffile.from\": \"near.tar:$ref\""
}
each_user sources

sections() {
    check "sections act in their order, wherever they stand, with umask 0002; arguments come from a file as well"
    echo host >file.txt
    printf 'WORD=of the file\n' >arguments
    cat >order.def <<END
Bootstrap: oci
From: $IMAGES/full.oci:latest
%arguments
    WORD=default
%test
    test "\$(cat /order)" = "setup post {{ WORD }}"
    echo TESTED "\$FROM_POST" "\$FROM_ENVIRONMENT"
%runscript
    cat /order /setup.umask /post.umask
%environment
    export FROM_ENVIRONMENT=environment
%post
    test "\$(cat /file.txt)" = host
    test ! -e /.singularity.d/test
    ! grep -q FROM_ENVIRONMENT /.singularity.d/env/90-environment.sh
    umask >/post.umask
    echo "\$(cat /order) post {{ WORD }}" >/order
    echo 'export FROM_POST=post' >>"\$SINGULARITY_ENVIRONMENT"
%files
    file.txt
%setup
    test ! -e "\$SINGULARITY_ROOTFS/file.txt"
    test -e "\$SINGULARITY_ROOTFS/etc/motd"
    umask >"\$SINGULARITY_ROOTFS/setup.umask"
    echo setup >"\$SINGULARITY_ROOTFS/order"
    echo overwritten >"\$SINGULARITY_ROOTFS/file.txt"
%pre
    echo pre >pre.made
END
    [ $WHO = root ] || [ $FUSE_FOR_USERS = yes ] || return 0
    run me singularity build --force --build-arg-file arguments x.sif order.def
    expect_rc 0
    expect_out '^TESTED post environment$'
    expect_exists pre.made
    run me singularity run x.sif
    expect_equal "$OUT" "setup post of the file
0002
0002"
    run me singularity build --force --notest --build-arg-file arguments --build-arg 'WORD=of the line' x.sif order.def
    refuse_out TESTED
    run me singularity exec x.sif cat /order
    expect_out 'of the line$'

    check "scripts of other Singularities: --fakeroot and its kin change nothing; --bind and --mount show %post and %test what is named"
    mkdir -p shared && echo shown >shared/file
    define b.def 'Bootstrap: oci' "From: $IMAGES/full.oci:latest" '%setup' '    mkdir -p "$SINGULARITY_ROOTFS/mnt/here"' '%post' '    cp /mnt/here/file /copied; echo RAN' \
        '    ! touch /mnt/here/new 2>/dev/null' '%test' '    cat /mnt/here/file'
    for how in "--bind $PWD/shared:/mnt/here:ro" '-B shared:/mnt/here:ro' "--mount type=bind,src=$PWD/shared,dst=/mnt/here,ro"; do
        # shellcheck disable=SC2086
        run me singularity build --force --fakeroot --userns --writable-tmpfs $how x.sif b.def
        expect_rc 0
        expect_out '^shown$'
        expect_out '^RAN$'
        run me singularity exec x.sif cat /copied
        expect_equal "$OUT" shown
        run me singularity exec x.sif ls /mnt/here
        expect_equal "$OUT" ''
    done
    sed '/%setup/,+1d; /%test/,$d' b.def >c.def
    run me singularity build --force -B "$PWD/shared:/mnt/nowhere" x.sif c.def
    expect_failure
    expect_err "destination /mnt/nowhere doesn't exist in container"
    expect_err '%setup can make it'
    run me singularity build --force -B "$PWD/nothing:/mnt" x.sif c.def
    expect_failure
    expect_err 'nothing'
    sed -i 's#cp /mnt/here/file /copied;##; /touch/d' c.def
    run me singularity build --force x.sif c.def
    expect_out '^RAN$'
    run me singularity build --explain -B "$PWD/shared:/home" x.sif c.def
    expect_out '%post +runs: what it reads of this machine by --bind'
    run me singularity build --force -B "$PWD/shared:/home" x.sif c.def
    expect_out '^RAN$'
    run me singularity build --force x.sif c.def
    refuse_out RAN
}
each_user sections

if [ "$(id -u)" = 0 ]; then
    check "sudo -E: the variables of the user who asked reach root's build, and nothing is written to that user's home"
    define d.def 'Bootstrap: docker' "From: $PRIVATE/ilumb/mylolcow"
    rm -rf "$USER_HOME/.singularity"
    as=(env "HOME=$USER_HOME" USER=root SUDO_USER=$USER_NAME SUDO_UID=$USER_ID SUDO_GID=$USER_ID SINGULARITY_DOCKER_USERNAME=ilumb "SINGULARITY_DOCKER_PASSWORD=$SECRET")
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then as+=(sudo -E "PATH=$PATH"); fi
    run "${as[@]}" singularity build --force x.sif d.def
    expect_rc 0
    runs Repartee
    expect_absent "$USER_HOME/.singularity"
fi
stop_servers
expect_nothing_left
finish
