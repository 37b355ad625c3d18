#!/usr/bin/env python3
"""fake-engine.py SOCKET IMAGE.tar MODE: enough of a Docker engine for the faults that a real one does not show.

IMAGE.tar is what "docker save" wrote, of one image "example/full:1.0". It prints "ready" and then a line for each
request. MODE is good, old (no Api-Version), new (1.52, refuses below 1.44), moved (the tag's id differs from the
second inspection on), short (ends in the middle), rubbish (HTML), denied (500 with a message), odd-id, garbled (a tar of noise)."""
import hashlib, http.server, json, os, socketserver, sys, tarfile, urllib.parse

socket_path, archive, mode = sys.argv[1:4]
with tarfile.open(archive) as tar:
    config_name = json.load(tar.extractfile("manifest.json"))[0]["Config"]
    config = tar.extractfile(config_name).read()
image_id = "sha256:" + hashlib.sha256(config).hexdigest()
facts = json.loads(config)
inspections = 0


class Engine(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "socket"

    def log_message(self, *args):
        pass

    def answer(self, status, body, kind="application/json", headers=()):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def fail(self, status, text):
        self.answer(status, json.dumps({"message": text}).encode())

    def do_GET(self):
        global inspections
        print(self.command, self.path, flush=True)
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        if mode == "rubbish":
            return self.answer(200, b"<html>welcome</html>", "text/html")
        if url.path == "/_ping":
            version = {"old": [], "new": [("Api-Version", "1.52")]}.get(mode, [("Api-Version", "1.41")])
            return self.answer(200, b"OK", "text/plain", version)
        version, _, rest = url.path[2:].partition("/")
        if mode == "new" and tuple(map(int, version.split("."))) < (1, 44):
            return self.fail(400, "client version %s is too old. Minimum supported API version is 1.44" % version)
        if mode == "denied":
            return self.fail(500, "the graph driver\nhas a bad day")
        if rest == "images/get":
            if query["names"][0] != image_id:
                return self.fail(404, "reference does not exist")
            return self.export()
        name = urllib.parse.unquote(rest[len("images/"):-len("/json")])
        if name not in ("example/full:1.0", "example/full@sha256:" + "1" * 64, image_id):
            return self.fail(404, "No such image: " + name)
        inspections += 1
        shown = image_id
        if mode == "moved" and inspections > 1:
            shown = "sha256:" + "0" * 64
        if mode == "odd-id":
            shown = "sha256:../../etc"
        self.answer(200, json.dumps({"Id": shown, "RepoTags": ["example/full:1.0"], "Architecture": facts["architecture"],
                                     "Os": facts["os"]}).encode())

    def export(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/x-tar")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        size = os.path.getsize(archive)
        sent = 0
        with open(archive, "rb") as f:
            while data := f.read(65536):
                if mode == "short" and sent > size // 2:
                    self.wfile.flush()
                    self.close_connection = True
                    return
                if mode == "garbled":
                    data = os.urandom(len(data))
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                sent += len(data)
        self.wfile.write(b"0\r\n\r\n")


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


if os.path.exists(socket_path):
    os.unlink(socket_path)
server = Server(socket_path, Engine)
os.chmod(socket_path, 0o666)
print("ready", flush=True)
server.serve_forever()
