# shellcheck shell=bash
# pages.sh: the pages of a hub in Chromium, by Playwright. Before lib.sh: export NPM_HOME=${NPM_HOME:-$HOME}, where npm
# finds its settings.

# Whether they can be tried here; else WHY_NOT says what is missing.
can_try_pages() {
    local t
    WHY_NOT=
    for t in node npm; do command -v $t >/dev/null || { WHY_NOT="needs $t"; return 1; }; done
    [ -x /usr/bin/chromium ] || { WHY_NOT="chromium is not installed (scripts/install-deps test)"; return 1; }
    mkdir -p "$T/node"
    cp "$SUPPORT/pages/"*.json "$T/node"
    (cd "$T/node" && HOME=$NPM_HOME timeout 120 npm ci --ignore-scripts --no-audit --no-fund >"$T/npm.log" 2>&1) ||
        { WHY_NOT="playwright-core could not be installed: $(grep -m 1 ERR "$T/npm.log")"; return 1; }
}

# try_pages BASE: the users alice and boss have the password PASSWORD. BUILDER says that the hub builds, ONLY is a regular
# expression of the names of tests, SHOTS a folder that gets a picture of every page.
try_pages() {
    local code word name short
    # Chromium makes a socket below TMPDIR, whose path may have 107 bytes.
    short=$(mktemp -d /tmp/pages.XXXXXX)
    TMPDIR=$short MODULES=$T/node timeout 300 node "$SUPPORT/pages/pages.mjs" "$1" ${SHOTS:+"$SHOTS"} >"$T/pages.out" 2>&1
    code=$?
    rm -rf "$short"
    while read -r word name; do
        case $word in
        ok) check "$name" ;;
        FAILED) check "${name%%:*}" && fail "${name#*: }" ;;
        *) echo "    $word $name" ;;
        esac
    done <"$T/pages.out"
    check "the pages' tests ended well"
    expect_equal $code 0 "exit status"
}
