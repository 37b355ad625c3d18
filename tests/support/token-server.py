#!/usr/bin/env python3
"""token-server.py --key KEY --cert CERT [--user USER:PASSWORD] [--identity TOKEN] [--life SECONDS] [--log FILE]

A token server for a real registry, by the Docker token specification (distribution, docs/spec/auth): it grants pull of
repositories below public/ to everybody, and everything to the user. Tokens are JWTs, signed by openssl with KEY (RSA).
It prints "PORT" once it listens on 127.0.0.1, and ends when its standard input does. With --log each request is one line:
"METHOD QUERY-OR-FORM WHO", WHO being anonymous, user, refused or identity.
"""
import argparse, base64, http.server, json, os, subprocess, sys, threading, time, urllib.parse

parser = argparse.ArgumentParser(usage=__doc__)
for option in ("key", "cert", "user", "identity", "log"):
    parser.add_argument("--" + option, default="")
parser.add_argument("--life", type=int, default=300)
o = parser.parse_args()
lock = threading.Lock()


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


CERTIFICATE = "".join(line for line in open(o.cert).read().splitlines() if "-----" not in line)


def signed(claims):
    head = b64(json.dumps({"typ": "JWT", "alg": "RS256", "x5c": [CERTIFICATE]}).encode())
    text = head + "." + b64(json.dumps(claims).encode())
    signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", o.key], input=text.encode(), capture_output=True, check=True).stdout
    return text + "." + b64(signature)


def grants(scopes, known):
    access = []
    for scope in scopes:
        parts = scope.split(":")
        if len(parts) < 3:
            continue
        kind, name, actions = parts[0], ":".join(parts[1:-1]), parts[-1].split(",")
        allowed = actions if known else [a for a in actions if a == "pull" and name.startswith("public/")]
        if allowed:
            access.append({"type": kind, "name": name, "actions": allowed})
    return access


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def note(self, what, who):
        if o.log:
            with lock, open(o.log, "a") as f:
                f.write(f"{self.command} {what} {who}\n")

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def grant(self, service, scopes, known, name):
        now = int(time.time())
        token = signed({"iss": "tests", "sub": name, "aud": service, "exp": now + o.life, "nbf": now - 10, "iat": now,
                        "jti": os.urandom(8).hex(), "access": grants(scopes, known)})
        self.answer(200, {"token": token, "expires_in": o.life})

    def do_GET(self):
        query = urllib.parse.urlsplit(self.path).query
        values = urllib.parse.parse_qs(query)
        service = values.get("service", [""])[0]
        scopes = [s for v in values.get("scope", []) for s in v.split()]
        header = self.headers.get("Authorization", "")
        if not header:
            self.note(query, "anonymous")
            return self.grant(service, scopes, False, "")
        given = base64.b64decode(header.split(" ", 1)[-1]).decode("utf-8", "replace")
        if o.user and given == o.user:
            self.note(query, "user")
            return self.grant(service, scopes, True, given.split(":")[0])
        self.note(query, "refused")
        self.answer(401, {"details": "incorrect username or password"})

    def do_POST(self):
        form = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        values = urllib.parse.parse_qs(form)
        if values.get("grant_type") == ["refresh_token"] and o.identity and values.get("refresh_token") == [o.identity]:
            self.note(values.get("scope", [""])[0], "identity")
            return self.grant(values.get("service", [""])[0], values.get("scope", [""])[0].split(), True, "identity")
        self.note("", "refused")
        self.answer(401, {"details": "invalid refresh token"})


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
