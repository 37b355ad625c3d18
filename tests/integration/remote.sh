# remote and keyserver, against a hub: as root and as a user.
. "$(dirname "$0")/../support/lib.sh"
. "$SUPPORT/hub.sh"

D=$T/hub
hub_user alice "$D"
ALICE=$TOKEN
start_hub "$D"
yaml() { cat "$HOME_NOW/.singularity/remote.yaml"; }

remotes() {
    HOME_NOW=$HOME
    [ "$WHO" = user ] && HOME_NOW=$USER_HOME
    check "a remote is added and used, and its services are found"
    run me singularity remote add --no-login site "$URL"
    expect_failure 1
    expect_err 'without encryption'
    expect_absent "$HOME_NOW/.singularity/remote.yaml"
    run me singularity remote add --no-login --insecure site "$URL"
    expect_rc 0
    expect_err '^INFO:    Remote "site" added\.$'
    expect_equal "$(stat -c %a "$HOME_NOW/.singularity/remote.yaml")" 600
    run me singularity remote list
    expect_out "^SylabsCloud +cloud\.sylabs\.io +✓ +✓$"
    expect_out "^site +127\.0\.0\.1:$PORT +✓ +✗!$"
    run me singularity remote status
    expect_rc 0
    expect_out "^SERVICE +STATUS +VERSION +URI$"
    expect_out "^Library +OK +.* +$URL$"
    expect_out '^No authentication token set \(logged out\)\.$'

    check "only a token that the remote accepts is kept"
    run me sh -c 'echo wrong | singularity remote login'
    expect_failure
    expect_err 'does not accept this token'
    run me sh -c 'singularity remote login </dev/null'
    expect_failure
    ! yaml | grep -q Token || fail "a wrong token was kept"
    run me sh -c "echo $ALICE | singularity --debug remote login"
    expect_rc 0
    expect_out "^Generate an access token at $URL/auth/tokens, and paste it here\.$"
    expect_err '^INFO:    Access Token Verified!$'
    expect_err '^INFO:    Token stored in .*/\.singularity/remote\.yaml$'
    refuse_err "$ALICE"
    refuse_out "$ALICE"
    yaml | grep -qx "        Token: $ALICE" || fail "the token is not there"
    run me singularity remote status site
    expect_out '^Valid authentication token set \(logged in\)\.$'
    echo "$ALICE" >token && chmod 644 token
    ok me singularity remote logout
    ! yaml | grep -q Token || fail "the token is there still"
    ok me singularity remote login --tokenfile token site
    yaml | grep -q Token || fail "the token is not there"

    check "what is wrong is told, and nothing changes"
    yaml >before
    for words in "remote use nope" "remote remove nope" "remote login nope" "remote add site $URL" "remote remove SylabsCloud" "keyserver remove https://nope" "keyserver add ftp://x" \
        "keyserver add $URL" "keyserver login https://nope" "remote use --exclusive site" "remote add x" "remote login ftp://host" "remote login docker://127.0.0.1:1" "remote get-login-password"; do
        # shellcheck disable=SC2086
        run me singularity $words
        [ "$RC" != 0 ] || fail "taken: $words"
        expect_err '^FATAL:   '
    done
    yaml >after
    expect_same_file before after

    check "the key server of the remote is asked with its token, and others in their order"
    run me singularity keyserver list site
    expect_out "#1  $URL"
    run me singularity key search nobody@example.com
    expect_failure
    expect_err "no matching keys found at $URL"
    printf 'Ann %s\nann-%s@example.com\nx\nse cret\nse cret\n' "$WHO" "$WHO" >answers
    me sh -c 'singularity key newpair --bit-length 2048 <answers' >/dev/null 2>&1 || fail newpair
    local print
    print=$(me singularity key list | grep -oE '[0-9A-F]{40}' | head -n 1)
    ok me singularity key push "$print"
    run me singularity key search "ann-$WHO@example.com"
    expect_rc 0
    expect_out "$print"
    ok me singularity remote logout
    run me singularity key push "$print"
    expect_failure
    expect_err 'singularity remote login'
    run me singularity key search "ann-$WHO@example.com"
    expect_rc 0
    ok me singularity remote login --tokenfile token
    ok me singularity keyserver add --order 1 http://127.0.0.1:1
    run me singularity keyserver list
    expect_out "#1  http://127.0.0.1:1"
    expect_out "#2  $URL"
    run me singularity key search nobody@example.com
    expect_failure
    expect_err "127.0.0.1:1"
    ok me singularity keyserver remove http://127.0.0.1:1

    check "remotes go again"
    run me singularity remote remove site
    expect_rc 0
    run me singularity remote status
    expect_failure
    expect_err 'no default remote'
    ok me singularity remote use SylabsCloud
}
each_user remotes

check "a site chooses for all, and may allow no other"
own_prefix
ok singularity remote add --global --insecure site "$URL"
expect_equal "$(stat -c %a "$PREFIX/etc/singularity/remote.yaml")" 644
ok singularity remote use --global --exclusive site
run as_user singularity remote list
expect_out "^site +127\.0\.0\.1:$PORT +✓ +✓ +✓ +✗!$"
run as_user singularity remote use SylabsCloud
expect_failure
expect_err 'set exclusive by the system administrator'
run as_user singularity remote use --global SylabsCloud
expect_failure

check "a broken file is named with its line, and no secret of it"
mkdir -p "$HOME/.singularity"
printf 'Active: x\nRemotes:\n  x: {URI: h, Token: s3cret, More: 1}\n' >"$HOME/.singularity/remote.yaml"
run singularity remote list
expect_failure
expect_err "remote.yaml:3: unknown key 'More'"
refuse_err s3cret
stop_hub
finish
