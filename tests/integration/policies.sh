# A site's policies: which sources, registries, image paths and signers are allowed; each refusal names file and line.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/registry.sh"
need_tool docker-registry skopeo
own_prefix
ETC=$PREFIX/etc/singularity
mkdir -p "$ETC/conf.d"
POLICY=$ETC/conf.d/50-policy.yaml
policy() { cat >"$POLICY"; }

ok singularity build tiny.sif "oci:$IMAGES/tiny.oci"
start_registry open && REGISTRY=127.0.0.1:$PORT
upload tiny.oci "$REGISTRY/good/thing:1"
upload tiny.oci "$REGISTRY/bad/thing:1"

check "a forbidden source is refused wherever it is named, before anybody is asked"
policy <<YAML
policy:
  sources:
    deny:
      - oras
      - oci
YAML
for command in 'pull x.sif oras://localhost:1/x' 'build x.sif oras://localhost:1/x' 'run oras://localhost:1/x' 'exec oras://localhost:1/x true' 'push tiny.sif oras://localhost:1/x'; do
    # shellcheck disable=SC2086
    run singularity $command
    expect_failure
    expect_err "this site forbids the source 'oras' .policy.sources.deny in $POLICY:4"
done
printf 'Bootstrap: oci\nFrom: %s\n' "$IMAGES/tiny.oci" >x.def
run singularity build x.sif x.def
expect_failure
expect_err "x.def:1.*this site forbids the source 'oci' .policy.sources.deny in $POLICY:5"
run singularity run "oci:$IMAGES/tiny.oci"
expect_failure
expect_err "$POLICY:5"
expect_absent x.sif
run singularity config check --for "oci:$IMAGES/tiny.oci"
expect_rc 255
expect_out "^refused: the source 'oci', by policy.sources.deny 'oci' .$POLICY:5"
expect_out 'would be refused$'
ok singularity exec tiny.sif true

check "an allow list forbids all else"
policy <<YAML
policy: {sources: {allow: [docker, localimage]}}
YAML
run singularity run "oci:$IMAGES/tiny.oci"
expect_failure
expect_err "the source 'oci' is not among those that this site allows .policy.sources.allow in $POLICY:1"
ok singularity pull "docker://$REGISTRY/good/thing:1"
ok singularity config check --for docker://alpine
expect_out "^allowed: the source 'docker', by policy.sources.allow 'docker' .$POLICY:1"

check "registries and namespaces: defaults are filled in before the comparison"
policy <<YAML
policy:
  registries:
    allow:
      - $REGISTRY/good
      - docker.io/library
YAML
ok singularity pull --force good.sif "docker://$REGISTRY/good/thing:1"
run singularity pull bad.sif "docker://$REGISTRY/bad/thing:1"
expect_failure
expect_err "the repository $REGISTRY/bad/thing is not among those that this site allows .policy.registries.allow in $POLICY:3"
expect_absent bad.sif
! grep -q bad/thing "$T/open.log" || [ "$(grep -c 'bad/thing.*GET\|GET.*bad/thing' "$T/open.log")" = 0 ] || fail "the forbidden repository was asked for"
run singularity push tiny.sif "oras://$REGISTRY/bad/thing:2"
expect_failure
expect_err "repository $REGISTRY/bad/thing is not among"
ok singularity push tiny.sif "oras://$REGISTRY/good/sif:2"
ok singularity config check --for docker://alpine
expect_out "allowed: the repository docker.io/library/alpine, by policy.registries.allow 'docker.io/library' .$POLICY:5"
run singularity config check --for docker://someone/alpine
expect_rc 255
run singularity config check --json --for shub://someone/thing
expect_rc 255
expect_out '"about": "the repository singularity-hub.org/someone/thing"'
run singularity config check --for library://lib.example.org/someone/things/thing:1
expect_rc 255
expect_out '^refused: the repository lib.example.org/someone/things/thing, by policy.registries.allow'
ok singularity remote add --no-login mine https://mine.example.org
ok singularity remote use mine
run singularity config check --for library://someone/things/thing
expect_out '^refused: the repository mine.example.org/someone/things/thing, by'
run singularity pull library://someone/things/thing
expect_failure
expect_err 'the repository mine.example.org/someone/things/thing is not among those'
run singularity config check --for https://user:secret@example.org/x.sif
expect_rc 255
refuse_out secret
printf 'Bootstrap: docker\nRegistry: %s\nNamespace: bad\nFrom: thing:1\n' "$REGISTRY" >y.def
run singularity build y.sif y.def
expect_failure
expect_err "repository $REGISTRY/bad/thing is not among"
ok singularity build z.sif "oci:$IMAGES/tiny.oci" # a directory is no registry

check "paths of images: as they really are, whatever link leads there"
mkdir -p "$T/ok/below" "$T/other"
cp tiny.sif "$T/ok/below/"
cp tiny.sif "$T/other/"
ln -s "$T/other/tiny.sif" "$T/ok/link.sif"
policy <<YAML
policy:
  paths:
    allow: ["$T/ok"]
    deny: ["$T/ok/*/secret.sif"]
YAML
ok singularity exec "$T/ok/below/tiny.sif" true
for image in "$T/other/tiny.sif" "$T/ok/link.sif"; do
    run singularity exec "$image" true
    expect_failure
    expect_err "the image $T/other/tiny.sif is not among those that this site allows .policy.paths.allow in $POLICY:3"
done
cp tiny.sif "$T/ok/below/secret.sif"
run singularity instance start "$T/ok/below/secret.sif" one
expect_failure
expect_err "this site forbids the image $T/ok/below/secret.sif .policy.paths.deny in $POLICY:4"
run singularity config check --for "$T/ok/link.sif"
expect_rc 255

check "rules on paths speak of whatever is read as an image: bases, overlays, data, what is pushed"
rm "$POLICY"
printf 'Bootstrap: localimage\nFrom: %s\nStage: one\n\nBootstrap: localimage\nFrom: %s\nStage: two\n%%files from one\n    /etc /from-one\n' \
    "$T/other/tiny.sif" "$T/ok/below/tiny.sif" >before.def
ok singularity build before.sif before.def # what is kept of it is no way round
policy <<YAML
policy:
  paths:
    deny: ["$T/other"]
YAML
OTHER=$T/other/tiny.sif REFUSED="this site forbids the image $T/other/tiny.sif .policy.paths.deny in $POLICY:3"
run singularity build base.sif "$OTHER"
expect_failure
expect_err "$REFUSED"
printf 'Bootstrap: localimage\nFrom: %s\nStage: one\n\nBootstrap: localimage\nFrom: %s\nStage: two\n\n%%setup\n    touch %s\n' \
    "$T/ok/below/tiny.sif" "$OTHER" "$T/w/it-ran" >base.def
run singularity build --force before.sif before.def
expect_failure
expect_err "before.def:1.*$REFUSED"
run singularity build base.sif base.def
expect_failure
expect_err "base.def:5.*$REFUSED"
expect_absent base.sif it-ran
singularity build --sandbox "$T/other/tree" "oci:$IMAGES/tiny.oci" >/dev/null 2>&1 || fail "no directory"
run singularity build --update --sandbox "$T/other/tree" base.def
expect_failure
expect_err "this site forbids the image $T/other/tree .policy.paths.deny in $POLICY:3"
ok singularity build stage.sif "oci:$IMAGES/tiny.oci"
run singularity exec --overlay "$OTHER:ro" stage.sif true
expect_failure
expect_err "$REFUSED"
run singularity exec --bind "$OTHER:/mnt:image-src=/" stage.sif true
expect_failure
expect_err "$REFUSED"
run singularity push "$OTHER" "oras://$REGISTRY/good/sif:3"
expect_failure
expect_err "$REFUSED"
printf 'Bootstrap: docker\nFrom: alpine\n\nBootstrap: localimage\nFrom: %s\n' "$OTHER" >for.def
run singularity config check --for for.def
expect_rc 255
expect_out "^refused: for.def:4: the image $T/other/tiny.sif, by policy.paths.deny '$T/other' .$POLICY:3"
expect_out '^for.def would be refused$'

check "the rules speak of builds that another machine makes, too"
policy <<YAML
policy:
  sources: {deny: [shub]}
  registries:
    deny: [docker.io/bad]
YAML
printf 'Bootstrap: docker\nFrom: alpine\nStage: one\n\nBootstrap: docker\nFrom: bad/thing\n' >remote.def
for source in docker://bad/thing remote.def; do
    run singularity build --remote --builder http://127.0.0.1:9 remote.sif "$source"
    expect_failure
    expect_err "this site forbids the repository docker.io/bad/thing .policy.registries.deny in $POLICY:4"
done
expect_err 'remote.def:5: '
run singularity build --remote --builder http://127.0.0.1:9 remote.sif shub://a/b
expect_failure
expect_err "this site forbids the source 'shub' .policy.sources.deny in $POLICY:2"
sed 's#bad/thing#{{ name }}#' remote.def >with.def
run singularity build --remote --builder http://127.0.0.1:9 --build-arg name=bad/thing remote.sif with.def
expect_failure
expect_err 'with.def:5: this site forbids the repository docker.io/bad/thing'
run singularity build --remote --builder http://127.0.0.1:9 remote.sif docker://good/thing
expect_failure
refuse_err forbids
run singularity config check --json --for remote.def
expect_rc 255
expect_out '"place": "remote.def:5"'
expect_out '"allowed": false'

check "an image may be run and yet be no base"
policy <<YAML
policy: {sources: {deny: [localimage]}}
YAML
ok singularity config check --for tiny.sif
expect_out "^refused as the base of a build: the source 'localimage', by policy.sources.deny 'localimage' .$POLICY:1"
expect_out '^tiny.sif is allowed$'
ok singularity exec tiny.sif true
run singularity build base.sif tiny.sif
expect_failure

policy <<YAML
policy:
  paths:
    allow: ["$T/ok"]
    deny: ["$T/ok/*/secret.sif"]
YAML
check "users get by no policy that is locked"
echo 'locks: [policy.paths.allow, policy.paths.deny]' >>"$POLICY"
run singularity --set policy.paths.allow=/ exec "$T/other/tiny.sif" true
expect_failure
expect_err "this site has locked 'policy.paths.allow' .$POLICY:5"
SINGULARITY_POLICY_PATHS_ALLOW=/ run singularity exec "$T/other/tiny.sif" true
expect_failure

check "a wrong rule is told with its line"
policy <<YAML
policy:
  registries:
    deny:
      - good.example.org
      - https://bad.example.org
YAML
run singularity exec tiny.sif true
expect_failure
expect_err "$POLICY:5: .*'https://bad.example.org' is no rule"
rm "$POLICY"

# ---- Signers --------------------------------------------------------------------------------------------

key() { me sh -c "printf '%s\n%s@example.com\n\n\n\n' '$1' '$1' | singularity key newpair --bit-length 2048" >/dev/null 2>&1; }
print_of() { me singularity key list --json 2>/dev/null | python3 -c 'import json,sys; print([k["fingerprint"] for k in json.load(sys.stdin)["keys"] if sys.argv[1] in k["user"]][0])' "$1"; }
sign_as() { me sh -c "echo | singularity sign --keyidx $1 $2" >/dev/null 2>&1 || fail "cannot sign $2"; }

signers() {
    rm -f "$POLICY"
    cp "$T/w/tiny.sif" tiny.sif
    [ "$WHO" = root ] || chown $USER_ID tiny.sif 2>/dev/null
    me cp tiny.sif signed.sif && me cp tiny.sif by-other.sif && me cp tiny.sif both.sif
    key Trusted && key Other
    run me singularity key list --json
    TRUSTED=$(print_of Trusted) OTHER=$(print_of Other)
    [ -n "$TRUSTED" ] && [ -n "$OTHER" ] && [ "$TRUSTED" != "$OTHER" ] || { fail "no keys"; return; }
    sign_as 0 signed.sif
    sign_as 1 by-other.sif
    sign_as 0 both.sif
    sign_as 1 both.sif

    check "a hook that wants the signers of an image is told them although no policy asks, and nobody else is"
    HOOK=$(find "$SG_STAGE/plugins-gcc" -path '*/veto-hook/plugin.yaml' | head -n 1)
    sed "s#events: .*#events: [before_run]\n      wants: [signers]#; s#^object: #object: $(dirname "$HOOK")/#" "$HOOK" >hook.yaml
    chmod 644 hook.yaml
    printf 'plugins: [{manifest: %s, config: {veto.log: %s/told}}]\n' "$PWD/hook.yaml" "$PWD" >"$PREFIX/etc/singularity/plugins.d/50-hook.yaml"
    for image in signed both tiny; do run me singularity exec $image.sif true; expect_rc 0; done
    expect_equal "$(cut -d '|' -f 2,6- told | grep -v both)" "signed.sif|$TRUSTED
tiny.sif|nobody"
    expect_equal "$(grep both told | cut -d '|' -f 6- | tr '|' '\n' | sort)" "$(printf '%s\n' "$TRUSTED" "$OTHER" | sort)"
    rm told

    check "and so at every other event that has an image file: fetched, ended, before_push"
    sed -i 's/events: .*/events: [fetched, ended, before_push]/' hook.yaml
    for image in signed tiny; do
        FAR=oras://$REGISTRY/signers-$WHO/told-$image:1
        case $image in signed) who=$TRUSTED ;; *) who=nobody ;; esac
        last() { tail -n 1 told | cut -d '|' -f 1,6-; }
        ok me singularity push $image.sif "$FAR"
        expect_equal "$(last)" "before_push|$who" "$image"
        ok me singularity pull --force far.sif "$FAR"
        expect_equal "$(last)" "fetched|$who" "$image"
        ok me singularity build --force far.sif "$FAR"
        expect_equal "$(last)" "fetched|$who" "$image"
        ok me singularity exec "$FAR" true
        expect_equal "$(grep -c "^fetched|" told) $(grep "^fetched|" told | cut -d '|' -f 6- | sort -u)" "3 $who" "$image"
        expect_equal "$(last)" "ended|$who" "$image"
        rm told
    done

    check "and of an image that was built, with the digest of the file where it was made from no manifest"
    sed -i 's/events: .*/events: [built]/; s/wants: .*/wants: [digest, signers]/' hook.yaml
    printf 'bootstrap: localimage\nfrom: %s/signed.sif\n' "$PWD" >of-signed.def
    ok me singularity build --force built.sif of-signed.def
    expect_equal "$(cut -d '|' -f 1,4,6- told)" "built|sha256:$(sha256sum built.sif | cut -d ' ' -f 1)|nobody"
    ok me singularity build --force --sandbox built signed.sif
    expect_equal "$(tail -n 1 told | cut -d '|' -f 1,4,6-)" "built||nobody"
    rm "$PREFIX/etc/singularity/plugins.d/50-hook.yaml"

    check "only images signed by an allowed key run"
    policy <<YAML
policy:
  signers:
    allow:
      - $TRUSTED
YAML
    run me singularity exec signed.sif echo ran
    expect_rc 0
    expect_out '^ran$'
    run me singularity exec both.sif true
    expect_rc 0
    run me singularity exec tiny.sif true
    expect_failure
    expect_err "tiny.sif .signed by nobody known here. is not among those that this site allows .policy.signers.allow in $POLICY:3"
    run me singularity exec by-other.sif true
    expect_failure
    expect_err "signed by $OTHER. is not among"
    run me singularity exec "$PREFIX" true
    [ "$RC" != 0 ] || fail "a directory ran"
    run me singularity config check --for signed.sif
    expect_rc 0
    expect_out "^allowed: the image .*signed by $TRUSTED., by policy.signers.allow"

    check "bases, overlays, data and what is pushed must be signed as well; what a container writes to need not"
    run me singularity build --force base.sif tiny.sif
    expect_failure
    expect_err "tiny.sif .signed by nobody known here. is not among those that this site allows .policy.signers.allow in $POLICY:3"
    run me singularity build --force base.sif signed.sif
    expect_rc 0
    run me singularity exec --overlay tiny.sif:ro signed.sif true
    expect_failure
    expect_err 'tiny.sif .signed by nobody known here'
    run me singularity exec --bind tiny.sif:/mnt:image-src=/ signed.sif true
    expect_failure
    expect_err 'tiny.sif .signed by nobody known here'
    run me singularity exec --bind both.sif:/mnt:image-src=/ signed.sif true
    expect_rc 0
    run me singularity push tiny.sif oras://127.0.0.1:9/x/y:1
    expect_failure
    expect_err 'tiny.sif .signed by nobody known here'
    run me singularity overlay create --size 8 kept.img
    if [ "$RC" = 0 ] && me singularity exec --overlay kept.img tiny.sif true 2>&1 | grep -q 'kept.img .signed'; then fail "an overlay that is written to was asked for a signature"; fi

    check "a base that was made of layers here has no signer; one that comes as a file must be signed, whatever it says of itself"
    mv "$POLICY" "$T/policy.kept"
    printf 'bootstrap: oras\nfrom: %s\n%%labels\n    a b\n' "$REGISTRY/signers-$WHO/tiny:1" >forged.def
    for image in tiny signed; do ok me singularity push $image.sif "oras://$REGISTRY/signers-$WHO/$image:1"; done
    ok me singularity build forged.sif forged.def
    ok me singularity push forged.sif "oras://$REGISTRY/signers-$WHO/forged:1"
    check "a definition that names Fingerprints is built on a base only that has all of these signatures"
    signed_base() { printf 'Bootstrap: %s\nFrom: %s\nFingerprints: %s\n%%labels\n    c d\n' "$@" >signed.def; } # SOURCE REFERENCE FINGERPRINTS
    lower=$(tr A-F a-f <<<"$TRUSTED")
    signed_base localimage both.sif "$OTHER, 0x$lower # both"
    ok me singularity build --force near.sif signed.def
    for base in "localimage by-other.sif" "localimage tiny.sif" "oras $REGISTRY/signers-$WHO/forged:1" "docker $REGISTRY/good/thing:1"; do
        # shellcheck disable=SC2086
        signed_base $base "$TRUSTED"
        run me singularity build --force none.sif signed.def
        expect_failure
        expect_err "signed.def:3:15: the base is not signed by $TRUSTED, as 'Fingerprints' asks"
        expect_absent none.sif
    done
    signed_base oras "$REGISTRY/signers-$WHO/signed:1" "$TRUSTED"
    ok me singularity build --force near.sif signed.def
    signed_base scratch nothing "$TRUSTED"
    run me singularity build --force none.sif signed.def
    expect_failure
    expect_err "signed.def:3:15: 'Fingerprints' asks for signatures, and a base of 'Bootstrap: scratch' has none"
    signed_base localimage both.sif "${TRUSTED:24}"
    run me singularity build --force none.sif signed.def
    expect_failure
    expect_err "signed.def:3:15: '${TRUSTED:24}' is no fingerprint"

    mv "$T/policy.kept" "$POLICY"
    base() { printf 'Bootstrap: %s\nFrom: %s\n%%labels\n    c d\n' "$@" >far.def; } # SOURCE REFERENCE
    base docker "$REGISTRY/good/thing:1"
    for round in fetched cached; do
        run me singularity build --force far.sif far.def
        [ "$RC" = 0 ] || { fail "layers, $round"; told; }
    done
    SINGULARITY_DISABLE_CACHE=1 run me singularity build --force far.sif far.def
    expect_rc 0
    base oras "$REGISTRY/signers-$WHO/signed:1"
    ok me singularity build --force far.sif far.def
    for image in tiny forged; do
        base oras "$REGISTRY/signers-$WHO/$image:1"
        run me singularity build --force far.sif far.def
        expect_failure
        expect_err "far.def:1:.*signers-$WHO/$image:1 .signed by nobody known here. is not among"
    done

    check "a signature is verified once for each file, and again when the file or the keys change"
    sleep 0.1 # a file that is younger than a tick of the clock is not remembered
    run me singularity exec signed.sif true
    if command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null; then
        run me strace -f -e trace=openat -o trace.txt singularity exec signed.sif true
        ! grep -q '/signing\.so"' trace.txt || fail "the signature was verified at another start"
        run me touch signed.sif
        run me strace -f -e trace=openat -o trace.txt singularity exec signed.sif true
        grep -q '/signing\.so"' trace.txt || fail "a file that changed was not looked at"
    fi
    check "what is known by one key ring is not believed of another, which a variable or another home may name"
    mkdir -p empty-ring other-home && chmod 700 empty-ring other-home
    [ "$WHO" = root ] || chown $USER_ID empty-ring other-home
    for variable in SINGULARITY_SYPGPDIR APPTAINER_KEYSDIR; do
        run me singularity exec signed.sif true
        expect_rc 0
        run me env $variable="$PWD/empty-ring" singularity exec signed.sif true
        expect_failure
        expect_err 'signed by nobody known here'
    done
    run me env SINGULARITY_CACHEDIR="$PWD/other-home" singularity exec signed.sif true
    expect_rc 0
    run me env SINGULARITY_CACHEDIR="$PWD/other-home" HOME="$PWD/other-home" singularity exec signed.sif true
    expect_failure
    expect_err 'signed by nobody known here'
    check "an image whose bytes changed is signed by nobody, whatever its times say"
    me cp signed.sif damaged.sif
    run me singularity exec damaged.sif true
    expect_rc 0
    size=$(stat -c %s damaged.sif)
    me sh -c "printf XXXX | dd of=damaged.sif bs=1 seek=$((size / 2)) conv=notrunc 2>/dev/null; touch -r signed.sif damaged.sif"
    run me singularity exec damaged.sif true
    expect_failure
    expect_err 'signed by nobody known here'
    run me singularity key remove --both "$TRUSTED"
    expect_rc 0
    run me singularity exec signed.sif true
    expect_failure
    expect_err 'signed by nobody known here'

    check "records that others could have written are not believed"
    policy <<YAML
policy: {signers: {deny: [$OTHER]}}
YAML
    run me singularity exec by-other.sif true
    expect_failure
    expect_err "this site forbids the image .*by-other.sif .signed by $OTHER. .policy.signers.deny in $POLICY:1"
    home=$(me sh -c 'echo $HOME')
    [ "$(stat -c %a "$home/.singularity/cache/signers")" = 700 ] || fail "others may write the records"
    for record in "$home"/.singularity/cache/signers/*; do me sh -c "sed -i '/^signer/d' '$record'; chmod 666 '$record'"; done
    run me singularity exec by-other.sif true
    expect_failure

    check "without a plugin that tells who signed, nothing runs that a rule speaks of"
    policy <<YAML
policy: {signers: {allow: [$OTHER]}}
YAML
    echo 'plugins: [{name: signing, enabled: false}]' >"$ETC/plugins.d/90-none.yaml"
    run me singularity exec by-other.sif true
    expect_failure
    expect_err "policy.signers.allow .$POLICY:1. cannot be applied .*: no registered plugin tells who signed an image"
    run me singularity config check
    expect_rc 255
    expect_out "$POLICY:1: 'policy.signers.allow': no registered plugin"
    rm "$ETC/plugins.d/90-none.yaml"
}
each_user signers
rm -f "$POLICY"

check "without a policy a start loads nothing for one"
if command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null; then
    ok singularity exec tiny.sif true
    ok strace -f -e trace=openat -o trace.txt singularity exec tiny.sif true
    ! grep -qE 'signing\.so|cache/signers' trace.txt || fail "a start looked for signers"
fi
finish
