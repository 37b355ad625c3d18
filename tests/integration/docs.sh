# The documentation is true: its command blocks run, its commands and options exist, its links lead somewhere, and every
# kind of error is explained. Local registries stand for those that it names.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/registry.sh"
. "$SUPPORT/hub.sh"
need_tool python3 docker-registry skopeo htpasswd jq openssl file
LIMIT=350

check "every command and option that is shown exists"
mapfile -t pages < <(find "$SG_SOURCE/README.md" "$SG_SOURCE/docs/user" "$SG_SOURCE/docs/admin" "$SG_SOURCE/docs/plugin-author" -name '*.md' | sort)
run python3 "$SUPPORT/run_docs.py" --check "${pages[@]}"
[ "$RC" = 0 ] || { fail "something is shown that does not exist"; told; }

check "every option and configuration key that the prose names exists"
mapfile -t helps < <(find "$SG_SOURCE/plugins" -name README.md | sort)
run python3 "$SUPPORT/check_words.py" "${pages[@]}" "${helps[@]}"
[ "$RC" = 0 ] || { fail "something is named that does not exist"; told; }
printf 'The key `cache.nothing` and `--no-such-option`.\n' >wrong.md
run python3 "$SUPPORT/check_words.py" wrong.md
expect_rc 1
expect_out 'wrong.md:1: there is no option --no-such-option'
expect_out 'wrong.md:1: there is no key cache.nothing'

check "links lead to files and headings that exist"
run python3 - "$SG_SOURCE" <<'P'
import os, re, subprocess, sys
root, wrong = sys.argv[1], 0
pages = [os.path.join(d, f) for top in ("docs", "sdk", "plugins") for d, _, files in os.walk(os.path.join(root, top)) for f in files if f.endswith(".md")]
pages += [os.path.join(root, f) for f in os.listdir(root) if f.endswith(".md")]
for page in pages:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", open(page, encoding="utf-8").read(), flags=re.S)
    text = re.sub(r"(?m)^    .*$", "", text)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, _ = target.partition("#")
        if path and not os.path.exists(os.path.join(os.path.dirname(page), path)):
            print(os.path.relpath(page, root) + ": " + target)
            wrong = 1
sys.exit(wrong)
P
[ "$RC" = 0 ] || { fail "links that lead nowhere"; told; }

check "the Chinese chapter has the sections, commands, table rows and items of the English one, in its order"
run python3 - "$SG_SOURCE/docs/user/docker-and-oci.md" "$SG_SOURCE/docs/user/docker-and-oci.zh.md" <<'P'
import difflib, re, sys
def shape(path):
    out = []
    for line in open(path, encoding="utf-8").read().splitlines():
        if line.startswith("    "): out.append(re.sub("<[^>]*>", "<>", line))  # what the reader fills in is translated
        elif line.startswith("<!--"): out.append(line)
        elif line.startswith("#"): out.append(line.split(" ")[0])
        elif line.startswith("|"): out.append("| " + " ".join(sorted(re.findall("`[^`]*`", line))))
        elif re.match(r"- |[0-9]+\. ", line): out.append("-")
    return out
different = list(difflib.unified_diff(shape(sys.argv[1]), shape(sys.argv[2]), "English", "Chinese", lineterm="", n=1))
print("\n".join(different))
sys.exit(bool(different))
P
[ "$RC" = 0 ] || { fail "the two differ"; told; }

check "every kind of error is explained, and no other"
expect_equal "$(grep -o '`SG_E[A-Z]*`' "$SG_SOURCE/docs/user/errors.md" | tr -d '\`' | sort -u)" \
    "$(grep -o '^    SG_E[A-Z]*' "$SG_SOURCE/sdk/include/singularity/plugin.h" | tr -d ' ' | sort -u)"
expect_equal "$(grep -c '^## ' "$SG_SOURCE/docs/user/errors.md")" "$(grep -c '^    SG_E' "$SG_SOURCE/sdk/include/singularity/plugin.h")"
# Each chapter: the code, its meaning, cause and cure, in this order.
incomplete=$(awk '/^## / {kind = $2; words = ""} kind {words = words " " $0} /^$/ && kind && words ~ /SG_E/ {
    if (words !~ /`SG_E[A-Z]*`.*\*\*Meaning\*\*.*\*\*Cause\*\*.*\*\*Cure\*\*/) print kind; kind = ""}' "$SG_SOURCE/docs/user/errors.md")
expect_equal "$incomplete" "" "kinds without meaning, cause or cure"

check "the site is made, and each of its links leads to a page and a heading"
need_tool cmark-gfm
ok "$SG_SOURCE/scripts/docs-html" "$T/html"
run python3 - "$T/html" <<'P'
import html.parser, os, sys
root, wrong = sys.argv[1], 0
class Page(html.parser.HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.links, self.ids, self.title = [], set(), False
        self.feed(open(path, encoding="utf-8").read())
    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        self.title |= tag == "title"
        if "id" in a: self.ids.add(a["id"])
        if "href" in a: self.links.append(a["href"])
found = {os.path.join(d, f): None for d, _, files in os.walk(root) for f in files if f.endswith(".html")}
for path in found: found[path] = Page(path)
for path, page in found.items():
    for link in page.links:
        if "://" in link or link.startswith("mailto:"): continue
        name, _, anchor = link.partition("#")
        full = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
        if full.endswith(".html") and (full not in found or (anchor and anchor not in found[full].ids)) or full.endswith(".md"):
            print(os.path.relpath(path, root) + ": " + link); wrong = 1
    if not page.title: print(path + ": no title"); wrong = 1
sys.exit(wrong)
P
[ "$RC" = 0 ] || { fail "links of the site"; told; }

check "the blocks run"
samples=$T/samples
mkdir "$samples"
python3 "$SUPPORT/lolcow.py" "$(command -v busybox)" "$samples" lolcow mylolcow
skopeo copy -q "oci:$samples/lolcow.oci:latest" "docker-archive:$samples/lolcow.tar:godlovedc/lolcow:latest"
htpasswd -Bbc "$T/htpasswd" alice s3cret 2>/dev/null
start_registry hub && HUB=127.0.0.1:$PORT
start_registry site "auth:" "  htpasswd: {realm: tests, path: $T/htpasswd}" && SITE=127.0.0.1:$PORT
skopeo copy -q --dest-tls-verify=false "oci:$samples/lolcow.oci:latest" "docker://$HUB/godlovedc/lolcow:latest"
skopeo copy -q --dest-tls-verify=false --dest-creds alice:s3cret "oci:$samples/mylolcow.oci:latest" "docker://$SITE/private/mylolcow:latest"
cat >"$T/registries.conf" <<C
[[registry]]
prefix = "docker.io"
location = "$HUB"
insecure = true
[[registry]]
prefix = "registry.example.org"
location = "$SITE"
insecure = true
C
chmod -R a+rX "$samples" "$T/registries.conf"
who=()
# The pages say that nobody needs root.
if [ "$(id -u)" = 0 ] && user_namespaces && [ $FUSE_FOR_USERS = yes ]; then who=(as_user); fi
mkdir "$T/run" && chmod 1777 "$T/run"
mapfile -t pages < <(find "$SG_SOURCE/README.md" "$SG_SOURCE/docs/user" -name '*.md' | sort)
for page in "${pages[@]}"; do
    URL='' TOKEN=''
    if grep -q HUB_URL "$page"; then # a hub of its own, which nobody else has filled
        hub_user alice "$T/hub.$(basename "$page")"
        start_hub "$T/hub.$(basename "$page")"
    fi
    run "${who[@]}" env DOCS_DIR="$T/run" SAMPLES="$samples" HUB_URL="$URL" HUB_TOKEN="$TOKEN" CONTAINERS_REGISTRIES_CONF="$T/registries.conf" python3 "$SUPPORT/run_docs.py" "$page"
    [ "$RC" = 0 ] || { fail "$(basename "$page")"; head -c 6000 "$T/out"; head -c 2000 "$T/err"; }
    [ -z "$URL" ] || stop_hub
done

check "the administrator's blocks run, in an installation of their own"
own_prefix
mkdir -p "$PREFIX/etc/singularity/conf.d"
for page in configuration policies; do
    run env DOCS_DIR="$T/run" PREFIX="$PREFIX" python3 "$SUPPORT/run_docs.py" "$SG_SOURCE/docs/admin/$page.md"
    [ "$RC" = 0 ] || { fail "$page.md"; head -c 6000 "$T/out"; }
    rm -f "$PREFIX"/etc/singularity/conf.d/*
done

# Compiles four plugins.
if [ -n "${SG_LONG:-}" ] && [ "$(id -u)" = 0 ]; then
    check "the plugin author's blocks run, in a shell that has the installed SDK and nothing else"
    mount -t tmpfs -o mode=755 none /opt && mkdir /opt/singularity && mount --bind "$PREFIX" /opt/singularity
    launcher=$(command -v ccache || :)
    run "${who[@]}" env -u SG_SOURCE -u SG_STAGE DOCS_DIR="$T/run" PATH="/opt/singularity/bin:$PATH" CMAKE_GENERATOR=Ninja CMAKE_C_COMPILER_LAUNCHER="$launcher" CMAKE_CXX_COMPILER_LAUNCHER="$launcher" \
        python3 "$SUPPORT/run_docs.py" "$SG_SOURCE/docs/plugin-author/index.md"
    [ "$RC" = 0 ] || { fail "index.md"; head -c 6000 "$T/out"; }
fi
finish
