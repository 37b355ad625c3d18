# Other products' configuration becomes ours; editors get a schema; `config check` tells everything at once.
. "$(dirname "$0")/../support/lib.sh"
need_tool jq python3
own_prefix
ETC=$PREFIX/etc/singularity
mkdir -p "$ETC/conf.d" "$HOME/.singularity"

check "singularity.conf: what differs is taken over, the rest is listed with the reason"
cat >singularity.conf <<'CONF'
# SINGULARITY.CONF
allow setuid = yes
max loop devices = 256
allow pid ns = no
mount home = no
mount dev = minimal
bind path = /etc/localtime
bind path = /etc/hosts
bind path = /scratch:/data
sessiondir max size = 128
limit container paths = /opt/images, /srv/images
root default capabilities = file
enable overlay = try
download concurrency = 7
mksquashfs mem = 1G
image driver =
some new thing = 1
CONF
ok singularity config import singularity.conf
expect_err "^WARNING: singularity.conf:4: allow pid ns = no is not taken over"
expect_err "^WARNING: singularity.conf:17: some new thing is not taken over: no such directive"
expect_out '^# singularity.conf:5: mount home = no$'
expect_out '^mount.home: no$'
expect_out "^bind.paths: \[/etc/localtime, /etc/hosts, '/scratch:/data'\]$"
expect_out '^policy.paths.allow: \[/opt/images, /srv/images\]$'
expect_out '^# +singularity.conf:3: max loop devices = 256$'
ok singularity config import --write 20-imported singularity.conf
expect_exists "$ETC/conf.d/20-imported.yaml"
ok singularity config show mount
expect_out '^mount.home: false$'
expect_out '^mount.dev: minimal$'
ok singularity config show --origin session.size
expect_out '^session.size: 128 .*20-imported.yaml'
ok singularity config show build.memory
expect_equal "$OUT" 1073741824
run singularity config import --write 20-imported singularity.conf
expect_failure
expect_err 'exists already'
expect_equal "$(ls -A "$ETC/conf.d")" 20-imported.yaml
rm "$ETC/conf.d/20-imported.yaml"

check "every directive is accounted for"
grep -cE '^[a-z].*=' singularity.conf >count
ok singularity config import singularity.conf
expect_equal "$(grep -oE 'singularity.conf:[0-9]+' "$T/out" | sort -u | wc -l)" "$(cat count)"
if [ -n "${APPTAINER_CONF:-}" ]; then ok singularity config import "$APPTAINER_CONF"; fi

check "ecl.toml becomes rules about signers and paths"
cat >ecl.toml <<'TOML'
activated = true
[[execgroup]]
  tagname = "group1"
  mode = "whitestrict"
  dirpath = "/var/cache/containers"
  keyfp = ["5994BE54C31CF1B5E1994F987C52CF6D055F072B","7064B1D6EFF01B1262FED3F03581D99FE87EAFD1"]
[[execgroup]]
  tagname = "group2"
  mode = "blacklist"
  dirpath = "/tmp/containers"
  keyfp = ["8883491F4268F173C6E5DC49EDECE4F3F38D871E"]
TOML
ok singularity config import ecl.toml
expect_out '^policy.signers.allow: \[5994BE54C31CF1B5E1994F987C52CF6D055F072B, 7064B1D6EFF01B1262FED3F03581D99FE87EAFD1\]$'
expect_out '^policy.signers.deny: \[8883491F4268F173C6E5DC49EDECE4F3F38D871E\]$'
expect_out '^policy.paths.allow: \[/var/cache/containers, /tmp/containers\]$'
expect_err "^WARNING: .*every key of the group had to sign"
sed -i 's/^activated.*/activated = false/' ecl.toml
ok singularity config import ecl.toml
refuse_out '^policy'
check "what is no such file is refused, and nothing is written"
for text in 'mount home' 'mount home = perhaps' '[[execgroup]]\n mode = "other"' '[[execgroup' 'sessiondir max size = -1' 'limit container paths = relative'; do
    printf '%b\n' "$text" >wrong
    run singularity config import --write 30-wrong wrong
    expect_failure
    expect_err '^FATAL: .*wrong'
done
run singularity config import missing
expect_failure
run singularity config import --write ../../x singularity.conf
expect_failure 1
expect_equal "$(ls -A "$ETC/conf.d")" ''

check "the schema knows each key, plugins' too, and accepts what the program accepts"
ok singularity config schema
cp "$T/out" schema.json
jq -e '.properties.bind.properties["paths+"] and .properties.oras.properties.chunk_size and .properties["mount.home"] and (.properties.locks.items.enum | index("bind.paths"))' schema.json >/dev/null || fail "keys are missing"
jq -e '.properties.mount.properties.dev.enum | index("minimal")' schema.json >/dev/null || fail "choices are missing"
expect_equal "$(jq -r '.properties.locks.items.enum[]' schema.json)" "$(singularity config show | sed 's/:.*//')"

if python3 -c 'import jsonschema, yaml' 2>/dev/null; then
    check "a validator takes the schema, and by it the files that are installed, imported and wrong"
    singularity config import singularity.conf >imported.yaml 2>/dev/null
    cat >site.yaml <<'YAML'
build: {compress: gzip, threads: 3}
bind: {paths+: [/scratch]}
mount.home: no
policy: {sources: {deny: [shub]}}
include: [/etc/singularity-site]
locks: [bind.paths]
YAML
    python3 - schema.json "$ETC/singularity.yaml" imported.yaml site.yaml <<'PY' || fail "the schema says something else than the program"
import json, sys, jsonschema, yaml
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
judge = jsonschema.Draft202012Validator(schema)
wrong = [(f, e.message) for f in sys.argv[2:] for e in judge.iter_errors(yaml.safe_load(open(f)) or {})]
accepted = ["build: {thread: 3}", "buidl: {}", "mount: {home: [1]}", "mount: {dev: some}", "bind: {paths: {a: b}}", "build: {threads: many}", "locks: [bind.path]"]
wrong += [(t, "is accepted") for t in accepted if judge.is_valid(yaml.safe_load(t))]
print(*wrong, sep="\n")
sys.exit(bool(wrong))
PY
else
    note "no jsonschema for Python here"
fi

check "config check tells all that is wrong in all files at once"
printf 'build: {thread: 1}\nmount:\n  home: perhaps\n' >"$ETC/conf.d/10-a.yaml"
printf 'build: [\n' >"$ETC/conf.d/20-b.yaml"
printf 'bind: {paths+: [/not/there]}\npolicy: {sources: {deny: [dokcer]}}\nlocks: [tmpdir]\n' >"$ETC/conf.d/30-c.yaml"
printf '\ntmpdir: /mine\n' >"$HOME/.singularity/config.yaml"
SINGULARITY_BUILD_THREADS=many run singularity config check
expect_rc 255
expect_out '^error: .*10-a.yaml:1: unknown configuration key .build.thread.'
expect_out "Did you mean 'build.threads'"
expect_out '^error: .*10-a.yaml:3: .*perhaps'
expect_out '^error: .*20-b.yaml:[12]: '
expect_out '^warning: .*30-c.yaml:1: .*/not/there does not exist'
expect_out "^warning: .*30-c.yaml:2: .*no registered source is called 'dokcer'"
expect_out '^error: .*config.yaml:2: this site has locked .tmpdir. .*30-c.yaml:3'
expect_out '^error: SINGULARITY_BUILD_THREADS: '
run singularity config check --json
expect_rc 255
expect_equal "$(jq -r '.valid, (.findings | length > 4)' <<<"$OUT")" $'false\ntrue'
rm "$ETC/conf.d"/* "$HOME/.singularity/config.yaml"
ok singularity config check
run singularity config check docker://alpine
expect_failure 1
expect_err 'check --for docker://alpine'
finish
