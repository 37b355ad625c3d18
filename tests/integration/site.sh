# What an administrator does to an installation by files alone, and what users then see: the story of the guide
# (docs/admin/configuration.md), settings for all containers, trees of several packages and clusters, several versions.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/registry.sh"
need_tool docker-registry skopeo htpasswd jq
own_prefix
ETC=$PREFIX/etc/singularity
mkdir -p "$ETC/conf.d" "$HOME/.singularity" "$T/scratch"
echo data >"$T/scratch/data"
ok singularity build tiny.sif "oci:$IMAGES/tiny.oci"

check "a site's file changes the mirror, forbids a source, adds a default bind and locks it"
cat >"$ETC/conf.d/50-site.yaml" <<YAML
registry:
  mirrors:
    - docker.io=http://localhost:5555/hub
policy:
  sources:
    deny: [shub]
bind:
  paths+:
    - $T/scratch
locks:
  - bind.paths
YAML
FILE=$ETC/conf.d/50-site.yaml
ok singularity config check
expect_out 'nothing is wrong$'
ok singularity config show --origin registry.mirrors
expect_out "^registry.mirrors: docker.io=http://localhost:5555/hub +# .*50-site.yaml:2"
ok singularity config show --origin policy.sources.deny
expect_out '^policy.sources.deny: shub +# .*50-site.yaml:6'
ok singularity config show --origin bind.paths
expect_out "^bind.paths: /etc/localtime, /etc/hosts, $T/scratch +# .*50-site.yaml:8, locked by .*50-site.yaml:11"
expect_out '^    /etc/hosts +# built-in default'
expect_out "^    $T/scratch +# .*50-site.yaml:9"
ok singularity config show --origin --json bind.paths
expect_equal "$(jq -r '.["bind.paths"] | .lock, .origins[2]' <<<"$OUT")" "$FILE:11"$'\n'"$FILE:9"
check "and each of them works"
ok singularity exec tiny.sif cat "$T/scratch/data"
expect_out '^data$'
run singularity exec --no-mount bind-paths tiny.sif true
expect_failure
expect_err "this site has locked 'bind.paths' .*50-site.yaml:11"
run singularity pull shub://a/b
expect_failure
expect_err "this site forbids the source 'shub' .policy.sources.deny in .*50-site.yaml:6"
run singularity pull docker://alpine
expect_failure
expect_err 'localhost:5555/v2/hub/library/alpine'

check "a mirror of the configuration is asked first, and a default registry for names without a host"
start_registry open && REGISTRY=127.0.0.1:$PORT
upload tiny.oci "$REGISTRY/hub/library/thing:latest"
echo "registry: {mirrors: ['docker.io=http://$REGISTRY/hub']}" >"$ETC/conf.d/60-mirror.yaml"
ok singularity pull mirrored.sif docker://thing
rm "$ETC/conf.d/60-mirror.yaml"
echo "registry: {default: '$REGISTRY/hub', mirrors: []}" >"$ETC/conf.d/60-default.yaml"
ok singularity pull default.sif docker://library/thing
expect_exists default.sif
ok singularity config check --for docker://library/thing
check "a registries.conf of the site's is the only one"
printf '[[registry]]\nprefix = "%s/hub"\nlocation = "%s"\nblocked = true\n' "$REGISTRY" "$REGISTRY" >"$T/registries.conf"
echo "registry: {config: $T/registries.conf}" >"$ETC/conf.d/70-conf.yaml"
run singularity pull again.sif docker://library/thing
expect_failure
expect_err "is blocked in $T/registries.conf"
expect_absent again.sif
rm "$ETC/conf.d"/[67]0-*
ok singularity config compile

check "a site's credential helper is asked when the user's files have nothing"
mkdir "$T/bin"
cat >"$T/bin/docker-credential-site" <<SH
#!/bin/sh
read -r server
echo "\$1 \$server" >>"$T/asked"
echo '{"ServerURL":"x","Username":"ann","Secret":"site-secret"}'
SH
chmod 755 "$T/bin/docker-credential-site"
htpasswd -Bbc "$T/htpasswd" ann site-secret 2>/dev/null
start_registry locked "auth:" "  htpasswd: {realm: tests, path: $T/htpasswd}" && REGISTRY=127.0.0.1:$PORT
upload tiny.oci "$REGISTRY/private/thing:1" --dest-creds ann:site-secret
run singularity pull private.sif "docker://$REGISTRY/private/thing:1"
expect_failure
echo "credentials: {helpers: ['$REGISTRY=site']}" >"$ETC/conf.d/60-helper.yaml"
PATH=$T/bin:$PATH ok singularity pull private.sif "docker://$REGISTRY/private/thing:1"
grep -qx "get $REGISTRY" "$T/asked" || fail "the helper was not asked"
refuse_err site-secret
rm "$ETC/conf.d/60-helper.yaml"

check "an environment for all containers, which users may change unless it is locked"
printf 'environment:\n  set: [SITE_NAME=alps, "SITE_TEXT=a b, c"]\n' >"$ETC/conf.d/60-environment.yaml"
ok singularity exec tiny.sif sh -c 'echo "$SITE_NAME|$SITE_TEXT"'
expect_out '^alps\|a b, c$'
ok singularity exec --cleanenv --env SITE_NAME=mine tiny.sif sh -c 'echo "$SITE_NAME|$SITE_TEXT"'
expect_out '^mine\|a b, c$'
echo 'locks: [environment.set]' >>"$ETC/conf.d/60-environment.yaml"
run singularity exec --env SITE_NAME=mine tiny.sif true
expect_failure
expect_err "--env SITE_NAME: this site has locked 'environment.set' .*60-environment.yaml:3"
SINGULARITYENV_SITE_NAME=mine run singularity exec tiny.sif true
expect_failure
expect_err "SINGULARITYENV_SITE_NAME: this site has locked 'environment.set'"
ok singularity exec --env OTHER=x --env SITE_NAME=alps tiny.sif true
echo 'environment: {set: [1=x]}' >"$ETC/conf.d/60-environment.yaml"
run singularity exec tiny.sif true
expect_failure
expect_err '60-environment.yaml:1: .*1=x. is not of the form NAME=VALUE'
rm "$ETC/conf.d/60-environment.yaml"

check "a site's own words stand below errors, and not below a wrong command line"
printf 'site: {hint: "Write to help@site.example.", documentation: "https://site.example/containers"}\n' >"$ETC/conf.d/60-words.yaml"
run singularity exec missing.sif true
expect_failure
expect_err '^         Write to help@site.example.$'
expect_err '^         See: https://site.example/containers$'
run singularity inspect missing.sif
expect_err '^         Write to help@site.example.$'
run singularity verify missing.sif
expect_err '^         Write to help@site.example.$'
run singularity exec
expect_failure 1
refuse_err 'help@site.example'
rm "$ETC/conf.d/60-words.yaml"

check "files of several packages add to the same lists"
mkdir "$T/scratch2" "$T/scratch3"
echo "bind: {paths+: [$T/scratch2]}" >"$ETC/conf.d/20-package-a.yaml"
echo "bind: {paths+: [$T/scratch3]}" >"$ETC/conf.d/20-package-b.yaml"
ok singularity config show bind.paths
expect_equal "$OUT" "/etc/localtime, /etc/hosts, $T/scratch2, $T/scratch3, $T/scratch"
rm "$ETC/conf.d"/20-*

check "a tree elsewhere is included, and a variable chooses among the trees of clusters"
mkdir -p "$T/clusters/alps/conf.d" "$T/clusters/jura/conf.d"
echo 'session: {size: 111}' >"$T/clusters/alps/singularity.yaml"
echo 'session: {size: 222}' >"$T/clusters/jura/conf.d/10.yaml"
echo 'locks: [session.size]' >"$T/clusters/jura/conf.d/20.yaml"
echo "include: ['$T/clusters/\${SITE_CLUSTER}']" >>"$ETC/singularity.yaml"
ok singularity config show session.size
expect_equal "$OUT" 64
for cluster in alps jura alps; do
    export SITE_CLUSTER=$cluster
    ok singularity config show --origin session.size
    expect_out "^session.size: (111|222) +# $T/clusters/$cluster/"
done
export SITE_CLUSTER=jura
run singularity --set session.size=1 exec tiny.sif true
expect_failure
expect_err "locked 'session.size' .$T/clusters/jura/conf.d/20.yaml:1"
export SITE_CLUSTER=../clusters/alps
run singularity exec tiny.sif true
expect_failure
expect_err "is no name of a directory"
unset SITE_CLUSTER
ok singularity config check

check "several versions stand side by side, each with its own configuration, and an installation can be moved"
mkdir -p "$T/sw"
cp -a "$PREFIX" "$T/sw/1"
cp -a "$PREFIX" "$T/sw/moved"
mv "$T/sw/moved" "$T/sw/2"
echo 'session: {size: 71}' >"$T/sw/1/etc/singularity/conf.d/99.yaml"
echo 'session: {size: 72}' >"$T/sw/2/etc/singularity/conf.d/99.yaml"
for n in 1 2 1; do
    ok "$T/sw/$n/bin/singularity" config show --origin session.size
    expect_out "^session.size: 7$n +# $T/sw/$n/etc/singularity/conf.d/99.yaml:1"
    ok "$T/sw/$n/bin/singularity" exec tiny.sif echo "by $n"
    expect_out "^by $n$"
done

check "environment modules switch between them"
VERSION=$(singularity version)
MODULECMD=$(ls /usr/lib/*/modulecmd.tcl /usr/lib/modulecmd.tcl 2>/dev/null | head -1)
if [ -z "$MODULECMD" ]; then
    note "no environment-modules here: not tried"
else
    module_path() { (
        unset MODULEPATH LOADEDMODULES _LMFILES_
        PATH=/usr/bin:/bin
        [ "$1" = direct ] && export MODULEPATH=$2
        eval "$("$MODULECMD" bash load "$3" 2>"$T/module.err")"
        command -v singularity
    ); }
    for n in 1 2; do
        expect_equal "$(module_path direct "$T/sw/$n/share/modulefiles" "singularity/$VERSION")" "$T/sw/$n/bin/singularity"
    done
    # A site's own tree of modules links to the file.
    mkdir -p "$T/modules/singularity"
    ln -s "$T/sw/2/share/modulefiles/singularity/$VERSION" "$T/modules/singularity/two"
    expect_equal "$(module_path direct "$T/modules" singularity/two)" "$T/sw/2/bin/singularity"
    [ ! -s "$T/module.err" ] || fail "modules complain: $(cat "$T/module.err")"
fi
finish
