# shellcheck shell=bash
# For tests of a hub's builder, after lib.sh: a user with subordinate ids, a small builder image, a hub. Begin with
# need_builder.

# newuidmap is set-user-id: unlike lib.sh's user, this one may gain rights by that.
HUB_WORDS=(setpriv --reuid $USER_ID --regid $USER_ID --clear-groups --inh-caps=-all env "HOME=$USER_HOME" "USER=$USER_NAME")
as_hub() { "${HUB_WORDS[@]}" "$@"; }

need_builder() {
    local f
    need_root
    need_tool unshare newuidmap prlimit curl jq
    [ "$FUSE_FOR_USERS" = yes ] || skip "ordinary users have no FUSE here"
    user_namespaces || skip "no user namespaces here"
    for f in subuid subgid; do
        { cat /etc/$f 2>/dev/null; echo "$USER_NAME:400000:65536"; } >"$T/$f"
        [ -e /etc/$f ] || touch /etc/$f
        mount --bind "$T/$f" /etc/$f
    done
    as_hub unshare --user --map-root-user --map-users=400000,1,65536 --map-groups=400000,1,65536 true || skip "no subordinate ids here"
}

# Only programs of this machine and what they load: no mirror is asked.
builder_image() { # FILE
    local root=$T/builder-root program library
    mkdir -p "$root"/{bin,usr/bin,usr/local/bin,lib64,etc,proc,sys,dev,tmp,var/tmp,root,opt,build} || return
    chmod 1777 "$root/tmp" "$root/var/tmp"
    cp -a "$PREFIX" "$root/opt/prefix" || return
    # What reads the configuration there must not find the hub's.
    ln -s /opt/prefix/bin/singularity "$root/usr/local/bin/singularity"
    for program in sh bash cp ls cat mkdir rm id dd sleep chmod chown env tar gzip head tail ln mv find newuidmap newgidmap python3 mkfifo truncate echo; do
        cp -L "$(type -P $program)" "$root/usr/bin/$program" || return
        [ $program = python3 ] || ln -sf ../usr/bin/$program "$root/bin/$program"
    done
    for library in $( (ldd "$root"/usr/bin/* "$root/opt/prefix/bin/singularity" && find "$root/opt/prefix" -name '*.so' -exec ldd {} +) 2>/dev/null | grep -o '/[^ ]*\.so[^ ]*' | sort -u); do
        [ -e "$root$library" ] || { [ -e "$library" ] && mkdir -p "$root${library%/*}" && cp -L "$library" "$root$library"; }
    done
    # What a Python program may import without being asked.
    library=$(python3 -c 'import os; print(os.path.dirname(os.__file__))')
    mkdir -p "$root${library%/*}"
    cp -a "$library" "$root${library%/*}/" && rm -rf "$root$library"/{test,idlelib,ensurepip,lib2to3,dist-packages,distutils}
    echo root:x:0:0::/root:/bin/sh >"$root/etc/passwd"
    echo root:x:0: >"$root/etc/group"
    echo "secret of the image" >"$root/etc/shadow"
    singularity build -F "$1" "$root" >"$T/builder-image.log" 2>&1 || { cat "$T/builder-image.log"; return 1; }
    chmod 644 "$1"
    rm -rf "$root"
}

# configure KEY: VALUE...: what the hub's user has in its configuration.
configure() {
    local line
    mkdir -p "$USER_HOME/.singularity"
    {
        echo hub:
        echo "  builder:"
        for line; do echo "    $line"; done
    } >"$USER_HOME/.singularity/config.yaml"
    chown -R $USER_ID:$USER_ID "$USER_HOME/.singularity"
}

D=$USER_HOME/hub
hub_start() { # [OPTION...]
    : >"$T/hub.out"
    "${HUB_WORDS[@]}" singularity hub serve --data "$D" --listen 127.0.0.1:0 "$@" >"$T/hub.out" 2>"$T/hub.err" </dev/null &
    HUB=$!
    for _ in $(seq 200); do
        URL=$(sed -n 's/^The hub listens on //p' "$T/hub.out")
        [ -n "$URL" ] && return
        kill -0 "$HUB" 2>/dev/null || break
        read -rt 0.05 <> <(:) || :
    done
    fail "the hub does not start: $(cat "$T/hub.err")"
    return 1
}
hub_stop() { kill -"${1:-TERM}" "$HUB"; wait "$HUB" 2>/dev/null; }
add_user() { as_hub singularity hub user add "$@" --data "$D" <<<"correct horse battery" || fail "user add $1"; }
token_of() { as_hub singularity hub user token "$@" --data "$D"; }
hub() { python3 "$SUPPORT/hub_client.py" "$URL" "$@"; }
# api TOKEN PATH [CURL'S OPTIONS]: the body; "-" for no token
api() {
    local words=()
    [ "$1" = - ] || words=(-H "Authorization: Bearer $1")
    curl -sS "${words[@]}" "$URL$2" "${@:3}"
}
submit() { # TOKEN FILE [REF] [MORE JSON]: the id, in BUILD too
    BUILD=$(jq -n --rawfile d "$2" --arg r "${3:-}" --argjson more "${4:-{\}}" '{definitionRaw: ($d | @base64), libraryRef: $r} + $more' |
        api "$1" /v1/build --data-binary @- | tee "$T/submitted" | jq -r '.data.id // empty')
    [ -n "$BUILD" ] || fail "the build was not taken: $(cat "$T/submitted")"
}
state() { api "$1" "/v1/build/$BUILD" | jq -r .data.state; }
# Waits on the log's WebSocket: it ends when the build does.
log_of() { LOG=$(hub watch "$1" "$BUILD" 2>&1); }
