#!/usr/bin/env python3
"""fake-hub.py IMAGE: a registry with Singularity Hub's interface on a free port of 127.0.0.1, over plain http.

Prints "port N", then a line for each request. It has lab/tool:latest (IMAGE), and for the faults: lab/gone (its file is
missing), lab/html, lab/short (half of the file), lab/file (leads to file:), lab/commit (a commit with a path in it)."""
import http.server, json, os, sys

image = sys.argv[1]


class Hub(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body, kind="application/json", size=None):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if size is None else size))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        print(self.command, self.path, flush=True)
        here = "http://127.0.0.1:%d" % self.server.server_address[1]
        names = {"lab/tool:latest": here + "/image.sif", "lab/tool@" + "0" * 40: here + "/image.sif", "lab/gone:latest": here + "/nothing",
                 "lab/short:latest": here + "/short", "lab/file:latest": "file:///etc/passwd", "lab/commit:latest": here + "/image.sif"}
        if self.path == "/image.sif" or self.path == "/short":
            with open(image, "rb") as f:
                body = f.read()
            size = len(body)
            if self.path == "/short":
                body, self.close_connection = body[:size // 2], True
            return self.answer(200, body, "application/octet-stream", size)
        name = self.path.removeprefix("/api/container/")
        if name == "lab/html:latest":
            return self.answer(200, b"<html>", "text/html")
        if name not in names:
            return self.answer(404, b"{}")
        commit = "../../../evil" if name.startswith("lab/commit") else "0123456789abcdef0123456789abcdef01234567"
        self.answer(200, json.dumps({"image": names[name], "name": "lab/tool", "tag": "latest", "version": "d41d8cd98f00b204e9800998ecf8427e",
                                     "commit": commit}).encode())


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
print("port", server.server_address[1], flush=True)
server.serve_forever()
