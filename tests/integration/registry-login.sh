# registry login, logout and list: with a real registry, with a token server, and where the secrets go (nowhere else).
. "$(dirname "$0")/../support/lib.sh"
need_tool python3
OWN=$HOME/.singularity/docker-config.json
PASSWORD='pa:ss$w ord'
port_of() { until_says "$1" '^port ' && PORT=$(sed -n 's/^port //p' "$1"); }
fake() { start "$T/$1.log" python3 "$SUPPORT/fake-login.py" "$1"; FAKE=$PID; port_of "$T/$1.log"; }
login() { printf '%s\n' "$PASSWORD" >"$T/password"; run sh -c 'exec singularity "$@" <'"$T/password" sh registry login --username "$1" --password-stdin "${@:2}"; }
# The password in no form: plain, base64, with the user.
refuse_secret_in() {
    local word
    for word in "$PASSWORD" "$(printf 'alice:%s' "$PASSWORD" | base64)" "$(printf '%s' "$PASSWORD" | base64)" secret-token; do
        ! grep -rqF -- "$word" "$@" || { fail "a secret is in $*"; grep -rlF -- "$word" "$@"; }
    done
}

check "the verb alone prints its help"
ok singularity registry
expect_out 'login'
expect_out 'logout'

check "a login is checked by the token server, then kept where only its user reads it"
fake bearer
login alice "docker://127.0.0.1:$PORT"
expect_rc 0
expect_err "^INFO:    Token stored in $OWN\$"
expect_equal "$(stat -c %a "$OWN")" 600 "mode"
grep -q "GET /token?account=alice" "$T/bearer.log" || fail "the token server was not asked"
ok singularity registry list
expect_out "^127.0.0.1:$PORT +alice\$"
ok singularity registry list --json
expect_equal "$(python3 -c 'import json,sys; print([(e["registry"], e["user"]) for e in json.load(sys.stdin)])' <"$T/out")" "[('127.0.0.1:$PORT', 'alice')]"

check "'remote login' of a registry is the same"
ok singularity remote logout "docker://127.0.0.1:$PORT"
ok singularity registry list
refuse_out alice
printf '%s\n' "$PASSWORD" >"$T/password"
run sh -c 'exec singularity remote login --username alice --password-stdin "docker://$1" <"$2"' sh "127.0.0.1:$PORT" "$T/password"
expect_rc 0
expect_err "^INFO:    Token stored in $OWN\$"
ok singularity registry list
expect_out "^127.0.0.1:$PORT +alice\$"

check "no secret is in any output, also not with --debug"
login alice --authfile "$T/w/auth.json" "docker://127.0.0.1:$PORT"
run sh -c 'exec singularity --debug registry login --username alice --password-stdin --authfile "$2" "docker://127.0.0.1:$1" <"$3"' sh "$PORT" "$T/w/auth.json" "$T/password"
expect_rc 0
expect_err 'DEBUG'
refuse_secret_in "$T/out" "$T/err" "$T/bearer.log"
rm "$T/password"
grep -rlF "$(printf 'alice:%s' "$PASSWORD" | base64)" "$T" 2>/dev/null | grep -vxF -e "$T/w/auth.json" -e "$T/homes/root/.singularity/docker-config.json" -e "$T/home/.singularity/docker-config.json" &&
    fail "the password is in another file"

check "a wrong password is refused and what was kept stays"
before=$(cat "$OWN")
PASSWORD=wrong login alice "docker://127.0.0.1:$PORT"
expect_failure
expect_err 'does not accept this user name and password'
expect_equal "$(cat "$OWN")" "$before" "the file changed"

check "logging out forgets one registry, once"
ok singularity registry logout "docker://127.0.0.1:$PORT"
refuse_secret_in "$OWN"
run singularity registry logout "docker://127.0.0.1:$PORT"
expect_failure
ok singularity registry list --authfile auth.json
expect_out alice

check "a password on the command line works and is warned of"
run singularity registry login -u alice -p "$PASSWORD" "127.0.0.1:$PORT"
expect_rc 0
expect_err '^WARNING: .*--password-stdin'

check "a helper program keeps it in place of the file"
mkdir -p "$T/bin"
printf '#!/bin/sh\n[ $# = 1 ] || exit 9\ncat >%s/kept.$1\n' "$T" >"$T/bin/docker-credential-keep"
chmod 755 "$T/bin/docker-credential-keep"
echo '{"credsStore": "keep"}' >helper.json
PATH=$T/bin:$PATH login alice --authfile helper.json "docker://127.0.0.1:$PORT"
expect_rc 0
expect_err 'Token stored in docker-credential-keep'
grep -qF "$PASSWORD" "$T/kept.store" || fail "the helper did not get it"
refuse_secret_in helper.json
kill "$FAKE"

check "servers that are none, or strange, are refused and nothing is kept"
rm -f "$OWN"
fake html
login alice "docker://127.0.0.1:$PORT"
expect_failure
expect_err 'is no registry'
kill "$FAKE"
fake downgrade
login alice "docker://127.0.0.1:$PORT"
expect_failure
expect_err 'names no token server'
kill "$FAKE"
fake no-token
login alice "docker://127.0.0.1:$PORT"
expect_failure
expect_err 'gives no token'
kill "$FAKE"
fake unknown
login alice "docker://127.0.0.1:$PORT"
expect_failure
expect_err 'knows no way to log in'
kill "$FAKE"
login alice "docker://127.0.0.1:$PORT" # nobody listens there any more
expect_failure
expect_absent "$OWN"

check "a registry that wants no login says so"
fake open
login alice "docker://127.0.0.1:$PORT"
expect_rc 0
expect_err '^WARNING: .*wants no login'
kill "$FAKE"

check "a wrong command line is told with exit code 1"
for words in "login" "login docker://" "login docker://a b" "login -p x docker://host" "login --password-stdin docker://host" "list x" "logout"; do
    # shellcheck disable=SC2086
    run singularity registry $words
    expect_failure 1
done
run setsid -w singularity registry login docker://127.0.0.1:1
expect_failure 1
expect_err 'no terminal'

check "a broken file is named, and a link that another user laid is not followed"
echo '{"auths": [' >broken.json
run singularity registry list --authfile broken.json
expect_failure
expect_err 'broken.json is not JSON'

check "a registry with passwords: Distribution's own"
if command -v docker-registry >/dev/null && command -v htpasswd >/dev/null; then
    htpasswd -Bbn alice "$PASSWORD" >"$T/htpasswd"
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: %s/registry}}\nhttp: {addr: "127.0.0.1:%s"}\nauth: {htpasswd: {realm: test, path: %s/htpasswd}}\n' "$T" "$port" "$T" >"$T/registry.yml"
    start "$T/registry.log" docker-registry serve "$T/registry.yml"
    SERVER=$PID
    until_says "$T/registry.log" 'listening on'
    login alice "docker://localhost:$port"
    expect_rc 0
    PASSWORD=wrong login alice "docker://localhost:$port"
    expect_failure
    kill "$SERVER"
else
    note "no docker-registry or no htpasswd here"
fi
finish
