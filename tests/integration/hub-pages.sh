# The web pages of a hub, in a real browser.
export NPM_HOME=${NPM_HOME:-$HOME}  # where npm finds its settings
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/builder.sh"
. "$SUPPORT/pages.sh"
need_tool curl jq
can_try_pages || skip "$WHY_NOT"

export PASSWORD=correct-horse-battery
HTML='<img src=x onerror="document.title=1"><script>document.title="owned"</script>'
# With a builder where one can be had: it runs as no root.
AS=()
D=$T/hub
if (need_builder) >"$T/no-builder" && builder_image "$USER_HOME/builder.sif"; then
    AS=("${HUB_WORDS[@]}")
    D=$USER_HOME/hub
    export BUILDER=yes
    configure "executor: local" "image: $USER_HOME/builder.sif" "time: 120" "memory: 4000000000" "disk: 1000000000" "concurrent: 1"
else
    note "without a builder: $(tail -n 1 "$T/no-builder")"
fi
for u in boss alice; do "${AS[@]}" singularity hub user add $u $([ $u != boss ] || echo --admin) --data "$D" <<<"$PASSWORD" || fail "user add"; done
TOKEN=$("${AS[@]}" singularity hub user token alice --data "$D")
"${AS[@]}" singularity hub serve --data "$D" --listen 127.0.0.1:0 >"$T/hub.out" 2>"$T/hub.err" &
HUB=$!
for _ in $(seq 200); do
    grep -q http "$T/hub.out" && break
    kill -0 $HUB 2>/dev/null || break
    sleep 0.05
done
BASE=$(sed -n 's/.*\(http:[^ ]*\).*/\1/p' "$T/hub.out")
[ -n "$BASE" ] || { cat "$T/hub.err"; fail "the hub does not start"; finish; }

post() { # PATH JSON: the id of what the answer holds
    curl -sS --fail-with-body -H "Authorization: Bearer $TOKEN" --data-binary "$2" "$BASE/$1" | jq -r '.data.id // empty'
}
cat >cow.def <<DEF
Bootstrap: oci
From: $IMAGES/full.oci:latest

%help
    $HTML
DEF
ok singularity build cow.sif cow.def
ENTITY=$(post v1/entities '{"name":"alice"}')
COLLECTION=$(post v1/collections "{\"name\":\"default\",\"entity\":\"$ENTITY\"}")
CONTAINER=$(post v1/containers "$(jq -n --arg c "$COLLECTION" --arg d "$HTML" '{name: "cow", collection: $c, description: $d}')")
IMAGE=$(post v1/images "{\"hash\":\"sha256.$(sha256sum <cow.sif | cut -d ' ' -f 1)\",\"container\":\"$CONTAINER\"}")
post "v1/imagefile/$IMAGE" @cow.sif >/dev/null
for tag in v1 latest; do post "v2/tags/$CONTAINER" "{\"Arch\":\"amd64\",\"Tag\":\"$tag\",\"ImageID\":\"$IMAGE\"}" >/dev/null; done

try_pages "$BASE"
kill $HUB
finish
