# A Library that stands before a right one and does what that never does: faulty-library.py TARGET FAULT PORTFILE
#
#   wrong-bytes     one byte of each file is another
#   wrong-hash      images have another hash than their files
#   same-key        as wrong-bytes, and hashes are written as the cache writes digests, which no Library does
#   short           files end early, each time
#   breaks          the first answer with a file ends after its first half
#   slow            files stop after their first half and wait
#   no-ranges       ranges are answered with the whole
#   redirect        files are at another origin (port), which tells in LOG what it was asked with
#   v1              no second version of uploads
#   socket          uploads are led to a socket of the machine
#   parts-fail      each part of an upload fails the first time
#   odd             answers are JSON of the wrong kind
#   no-json         answers are no JSON
#   climbs          ids are paths
import http.client, http.server, json, os, socketserver, sys, threading, urllib.parse

target, fault, port_file = urllib.parse.urlparse(sys.argv[1]), sys.argv[2], sys.argv[3]
seen, lock = {}, threading.Lock()


def first_time(key):
    with lock:
        seen[key] = seen.get(key, 0) + 1
        return seen[key] == 1


def every_other(key):
    """The first, the third, ... An address is signed anew for each try, so that it does not tell what is sent again."""
    with lock:
        seen[key] = seen.get(key, 0) + 1
        return seen[key] % 2 == 1


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def ask(self, path, body):
        c = http.client.HTTPConnection(target.hostname, target.port, timeout=60)
        skip = {"host", "connection", "transfer-encoding"} | ({"range"} if fault == "no-ranges" else set())
        headers = {k: v for k, v in self.headers.items() if k.lower() not in skip}
        headers["Host"] = self.headers["Host"]
        c.request(self.command, path, body, headers)
        r = c.getresponse()
        return r.status, dict(r.getheaders()), r.read()

    def answer(self, status, headers, body, cut=None):
        self.send_response(status)
        for k, v in headers.items():
            if k.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                self.send_header(k, v)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if cut is not None:
            self.wfile.write(body[:cut])
            self.wfile.flush()
            self.connection.shutdown(2)
            self.close_connection = True
        else:
            self.wfile.write(body)

    def handle_any(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else None
        path = self.path
        file = path.startswith("/v1/imagefile/") and self.command == "GET"
        if fault == "redirect" and file and self.server.server_port == main.server_port:
            return self.answer(303, {"Location": f"http://127.0.0.1:{other.server_port}{path}"}, b"")
        if fault == "redirect" and self.server.server_port == other.server_port:
            with open(port_file + ".log", "a") as f:
                f.write(f"{self.command} authorization={self.headers.get('Authorization')} range={self.headers.get('Range')}\n")
        if fault == "v1" and (path.startswith("/v2/") or path == "/version"):
            return self.answer(404, {}, b'{"error":{"code":404,"message":"not here"}}')
        if fault == "parts-fail" and path.startswith("/upload/") and every_other("upload"):
            return self.answer(503, {}, b"busy")
        status, headers, data = self.ask(path, body)
        if file and status in (200, 206) and data:
            if fault in ("wrong-bytes", "same-key"):
                data = data[:-1] + bytes([data[-1] ^ 1])
            if fault == "short":
                return self.answer(status, headers, data, 10)
            if fault == "slow":
                self.send_response(status)
                for k, v in headers.items():
                    if k.lower() in ("content-length", "content-range", "content-type"):
                        self.send_header(k, v)
                self.end_headers()
                self.wfile.write(data[: len(data) // 2])
                self.wfile.flush()
                self.connection.recv(1)  # until the other side is gone
                self.close_connection = True
                return
            if fault == "breaks" and first_time(path):
                return self.answer(status, headers, data, len(data) // 2)
        if fault == "socket" and path.startswith("/v2/imagefile/") and self.command == "POST":
            data = b'{"data":{"uploadURL":"unix://%2Frun%2Fservice.sock/x"}}'
        if path.startswith("/v1/images/") and self.command == "GET" and status == 200:
            if fault == "wrong-hash":
                answer = json.loads(data)
                answer["data"]["hash"] = "sha256." + "0" * 64
                data = json.dumps(answer).encode()
            if fault == "same-key":
                data = data.replace(b'"sha256.', b'"sha256:')
            if fault == "odd":
                data = b'{"data":{"id":[],"hash":5}}'
            if fault == "no-json":
                data = b"<html>hello</html>"
            if fault == "climbs":
                data = json.dumps({"data": {"id": "../../x", "hash": "sha256." + "0" * 64, "uploaded": False}}).encode()
        self.answer(status, headers, data)

    do_GET = do_POST = do_PUT = do_DELETE = handle_any


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


main, other = Server(("127.0.0.1", 0), Handler), Server(("127.0.0.1", 0), Handler)
threading.Thread(target=other.serve_forever, daemon=True).start()
with open(port_file + ".tmp", "w") as f:
    f.write(str(main.server_port))
os.rename(port_file + ".tmp", port_file)
main.serve_forever()
