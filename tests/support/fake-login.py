#!/usr/bin/env python3
"""fake-login.py MODE: a registry on a free port of 127.0.0.1 that only lets in (or not), over plain http.

Prints "port N", then a line for each request. The user is alice, the password "pa:ss$w ord". MODE is bearer (a token
server beside it, in the second of two challenges), open (no login), html (no registry), downgrade (an odd realm),
no-token, unknown (a scheme that nobody knows)."""
import base64, http.server, json, sys, urllib.parse

mode = sys.argv[1]
good = "Basic " + base64.b64encode(b"alice:pa:ss$w ord").decode()


class Registry(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"{}", headers=()):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        print(self.command, self.path, flush=True)
        url = urllib.parse.urlsplit(self.path)
        here = "http://127.0.0.1:%d" % self.server.server_address[1]
        given = self.headers.get("Authorization", "")
        if url.path == "/token":
            query = urllib.parse.parse_qs(url.query)
            if given != good or query.get("service") != ["the service"] or query.get("account") != ["alice"]:
                return self.answer(401)
            return self.answer(200, b"{}" if mode == "no-token" else json.dumps({"access_token": "secret-token"}).encode())
        if mode == "open":
            return self.answer(200)
        if mode == "html" or url.path != "/v2/":
            return self.answer(404, b"<html>")
        if given == "Bearer secret-token":
            return self.answer(200)
        realm = "file:///etc/passwd" if mode == "downgrade" else here + "/token"
        challenges = ['Negotiate', 'Bearer realm="%s",service="the service"' % realm]
        self.answer(401, headers=[("WWW-Authenticate", c) for c in (["Digest x=1"] if mode == "unknown" else challenges)])


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
print("port", server.server_address[1], flush=True)
server.serve_forever()
