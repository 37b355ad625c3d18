#!/usr/bin/env python3
"""faulty-server.py: an HTTP/1.1 server that misbehaves on request; only the standard library is needed.

  faulty-server.py [--tls CERT KEY] [--client-ca FILE] [--table FILE] [--upstream URL] [--root DIR] [--proxy]
                   [--password USER:PASSWORD] [--log FILE] [--seed N] [--address ADDR] [--port N] [--unix PATH]

It prints one line "PORT" (or the socket's path) once it listens, and ends when its standard input does (so it cannot outlive
a test) or at SIGTERM. With --log each request is appended to FILE as one JSON line: {method, target, headers, body, action}.

What it answers:
  /do/ACTION?KEY=VALUE&...  the action, whatever the table says. Made for tests of one request.
  else the first rule of the table (a JSON list) that fits and is not spent; else what --upstream answers, passed on; else
  the file of --root; else 404.

A rule: {"do": ACTION, "match": REGEX on the target, "method": "GET", "times": N (then it is spent; default: for ever),
         ... the action's keys}. "at": "random" takes an offset below the body's size from the seed, which is printed to
         standard error ("seed N") at start, or from the rule's own "seed". A table that is replaced (by a rename) is read anew.

Actions; the body is what upstream or root has, else `size` bytes (default 1000), byte i being i % 251:
(HEAD meets faults of the body only with at=-1.)
  ok                 the body with its length; honours Range, If-Range (etag), HEAD. Keys: etag, modified, type, delay (s)
  reset    at        RST after `at` bytes of the body (-1: before the head; a TLS connection is cut the same way)
  close    at        an orderly end after `at` bytes: fewer than promised (-1: before the head)
  stall    at        silence after `at` bytes (-1: no head at all), until the client goes
  trickle  delay n   `n` bytes each `delay` seconds (default 1, 0.02)
  more     extra     `extra` bytes more than Content-Length says (default 10)
  flip     at        one bit of byte `at` is another one
  lengths            two Content-Length fields that contradict each other
  chunked  n fault   chunked coding in chunks of `n`; fault: cut (in the middle), size (no number), end (data too long),
                     trailer (endless)
  open               no length: the body ends with the connection
  html               200 with a page instead of what was asked for
  json     text fill 200 with `text`, and `fill` blanks behind it, as application/json
  status   code ...  that status; keys retry_after, text, type, header (one "Name: value"), then: after `count` such
                     answers for this target the body is good (default: never)
  head     bytes     a head of so many bytes (default 10 MB) in many fields; line=1: in one line
  garbage            an answer that is no HTTP
  informational      100 Continue without end
  loop               a redirect to itself, with another query each time
  redirect to code   a redirect (default 302)
  unauthorized       401 with a challenge, whatever is sent; challenge: its text
  ignore-range       200 with the whole whatever Range says
  wrong-range        206 with another part than was asked for
  unsatisfiable      416
  early    code      the answer (default 413) before the request's body was read, then the end
  hold               silence, until the client goes; the request is read no further than its head, and upstream never hears of it
  cut-body at        upstream gets the first `at` bytes of the request's body, then the connection to it ends; silence as with hold
  drop     n         good answers that promise to keep the connection; after `n` of them (default 1) it is closed silently
  echo               the request as JSON: method, target, headers, body size and SHA-256
  upgrade            101, then every byte comes back; refuse=1: 200 instead
--proxy: CONNECT and absolute targets are carried out (and logged: actions tunnel, forwarded, refused); names that end in .test
lead to 127.0.0.1; --password wants Proxy-Authorization.
"""
import argparse, base64, hashlib, itertools, json, os, random, re, select, socket, ssl, struct, sys, threading, time, urllib.parse
import http.client

BODY_FAULTS = ("reset", "close", "stall", "trickle", "more", "flip", "chunked", "open")
PATTERN = bytes(i % 251 for i in range(251 * 4096))
lock = threading.Lock()
counts, spent = {}, {}
options = table = dice = read_from = None


def read_table():
    """Under the lock: the rules of the table, all unspent, when it is another file than the last time."""
    global table, read_from
    with open(options.table) as f:
        here = os.fstat(f.fileno())
        if (here.st_ino, here.st_mtime_ns) == read_from:
            return
        table, read_from = json.load(f), (here.st_ino, here.st_mtime_ns)
        spent.clear()


def body_of(size):
    return (PATTERN * (size // len(PATTERN) + 1))[:size]


class Gone(Exception):
    pass


class Request:
    def __init__(self, method, target, headers):
        self.method, self.target, self.headers = method, target, headers

    def get(self, name, default=None):
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return default


class Conversation:
    """One connection, request after request."""

    numbers = itertools.count(1)

    def __init__(self, sock):
        self.number = next(self.numbers)
        self.sock, self.file, self.served = sock, sock.makefile("rb"), 0

    def run(self):
        while self.one():
            pass

    # ---- reading
    def read_request(self):
        line = self.file.readline(65537)
        if not line.strip():
            raise Gone
        method, target = line.decode("latin-1").split()[:2]
        headers = []
        while True:
            line = self.file.readline(65537).decode("latin-1").rstrip("\r\n")
            if not line:
                return Request(method, target, headers)
            name, _, value = line.partition(":")
            headers.append((name, value.strip()))

    def read_body(self, request):
        if (request.get("Transfer-Encoding") or "").lower() == "chunked":
            out = b""
            while True:
                size = int(self.file.readline().split(b";")[0], 16)
                out += self.file.read(size)
                self.file.readline()
                if size == 0:
                    return out
        return self.file.read(int(request.get("Content-Length") or 0))

    # ---- writing
    def head(self, status, fields, keep=True, body=b""):
        reason = http.client.responses.get(status, "Odd")
        text = f"HTTP/1.1 {status} {reason}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields)
        self.sock.sendall((text + ("" if keep else "Connection: close\r\n") + "\r\n").encode("latin-1") + body)

    def answer(self, request, status, fields, body, keep=True):
        self.head(status, list(fields) + [("Content-Length", len(body))], keep, body if request.method != "HEAD" else b"")
        if not keep:
            raise Gone

    def reset(self):
        raw = self.sock
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(raw.detach())
        raise Gone

    def silence(self):
        # Until the client goes.
        while True:
            if select.select([self.sock], [], [], 1)[0] and not self.sock.recv(65536):
                raise Gone

    def cut_body(self, request, at):
        url = urllib.parse.urlsplit(options.upstream)
        with socket.create_connection((url.hostname, url.port or 80)) as upstream:
            upstream.sendall(f"{request.method} {request.target} HTTP/1.1\r\n".encode("latin-1"))
            for name, value in request.headers:
                upstream.sendall(f"{name}: {value}\r\n".encode("latin-1"))
            upstream.sendall(b"\r\n" + self.file.read(at))
        self.log(request, b"x" * at, "cut-body")
        self.silence()

    # ---- one request
    def one(self):
        request = self.read_request()
        if options.proxy and (request.method == "CONNECT" or "://" in request.target):
            return self.as_proxy(request)
        keys = self.choose(request)
        action = keys.pop("do")
        if action == "early":
            self.log(request, b"", action)
            self.answer(request, int(keys.get("code", 413)), [], b"enough", keep=False)
        if action == "hold":
            self.log(request, b"", action)
            self.silence()
        if action == "cut-body":
            self.cut_body(request, int(keys.get("at", 1000)))
        body = self.read_body(request)
        self.log(request, body, action)
        self.served += 1
        content, fields, status = self.content(request, keys, body)
        if request.method == "HEAD" and action in BODY_FAULTS and keys.get("at") != "-1" and keys.get("at") != -1:
            action = "ok"  # no body, no fault in it
        if status != 200 and action == "ok":
            self.answer(request, status, fields, content)
            return True
        getattr(self, "do_" + action.replace("-", "_"))(request, keys, content, fields, body)
        return True

    def choose(self, request):
        parts = urllib.parse.urlsplit(request.target)
        if parts.path.startswith("/do/"):
            keys = {k: v[-1] for k, v in urllib.parse.parse_qs(parts.query, keep_blank_values=True).items()}
            keys["do"] = parts.path[4:].split("/")[0]
            if not hasattr(self, "do_" + keys["do"].replace("-", "_")) and keys["do"] != "early":
                keys = {"do": "status", "code": 404}
            return keys
        with lock:
            if options.table:
                read_table()
            for number, rule in enumerate(table):
                if not re.search(rule.get("match", ""), request.target) or rule.get("method", request.method) != request.method:
                    continue
                if spent.get(number, 0) >= rule.get("times", 1 << 60):
                    continue
                spent[number] = spent.get(number, 0) + 1
                return dict(rule)
        return {"do": "ok", "plain": True}

    def content(self, request, keys, body):
        """The good body, its fields and status."""
        fields = [("Content-Type", keys.get("type", "application/octet-stream"))]
        if "etag" in keys:
            fields.append(("ETag", keys["etag"]))
        if "modified" in keys:
            fields.append(("Last-Modified", keys["modified"]))
        if options.upstream and not request.target.startswith("/do/"):
            return self.from_upstream(request, body)
        if options.root and not request.target.startswith("/do/"):
            path = os.path.normpath(options.root + urllib.parse.unquote(urllib.parse.urlsplit(request.target).path))
            if not path.startswith(os.path.normpath(options.root)) or not os.path.isfile(path):
                return b"not found", [], 404
            with open(path, "rb") as f:
                data = f.read()
            modified = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(os.stat(path).st_mtime))
            return data, fields + [("Last-Modified", modified), ("ETag", '"%s"' % hashlib.sha256(data).hexdigest()[:16])], 200
        if keys.get("plain"):
            return b"not found", [], 404
        return body_of(int(keys.get("size", 1000))), fields, 200

    def from_upstream(self, request, body):
        url = urllib.parse.urlsplit(options.upstream)
        upstream = http.client.HTTPConnection(url.hostname, url.port or 80, timeout=60)
        upstream.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers:
            if name.lower() not in ("connection", "transfer-encoding", "content-length", "range", "if-range"):
                upstream.putheader(name, value)
        if body or request.method in ("POST", "PUT", "PATCH"):
            upstream.putheader("Content-Length", str(len(body)))
        upstream.endheaders(body or None)
        answer = upstream.getresponse()
        data = answer.read()
        fields = [(k, v) for k, v in answer.getheaders() if k.lower() not in ("connection", "transfer-encoding", "content-length")]
        if request.method == "HEAD" and answer.getheader("Content-Length"):
            fields.append(("X-Length", answer.getheader("Content-Length")))
        return data, fields, answer.status

    def log(self, request, body, action):
        if options.log:
            line = json.dumps({"method": request.method, "target": request.target, "headers": request.headers, "body": len(body), "action": action})
            with lock, open(options.log, "a") as f:
                f.write(line + "\n")

    @staticmethod
    def at(keys, content):
        value = keys.get("at", len(content) // 2)
        if value == "random":
            with lock:
                return (random.Random(keys["seed"]) if "seed" in keys else dice).randrange(max(len(content), 1))
        return int(value)

    # ---- actions
    def do_ok(self, request, keys, content, fields, body, ignore_range=False):
        time.sleep(float(keys.get("delay", 0)))
        length = dict(fields).pop("X-Length", None)
        if length is not None:  # a HEAD of upstream's
            self.head(200, [f for f in fields if f[0] != "X-Length"] + [("Content-Length", length)])
            return
        fields = fields + [("Accept-Ranges", "bytes")]
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.get("Range") or "")
        condition = request.get("If-Range")
        if condition and condition not in [v for k, v in fields if k in ("ETag", "Last-Modified")]:
            wanted = None
        if not wanted or ignore_range:
            self.answer(request, 200, fields, content)
            return
        first = int(wanted.group(1))
        last = min(int(wanted.group(2) or len(content) - 1), len(content) - 1)
        if first >= len(content):
            self.answer(request, 416, [("Content-Range", f"bytes */{len(content)}")], b"")
            return
        self.answer(request, 206, fields + [("Content-Range", f"bytes {first}-{last}/{len(content)}")], content[first:last + 1])

    def part(self, request, content, fields, at):
        """The head, and the first `at` bytes of what was asked for."""
        if at < 0:
            return
        wanted = re.fullmatch(r"bytes=(\d+)-", request.get("Range") or "")
        first = int(wanted.group(1)) if wanted and int(wanted.group(1)) < len(content) else 0
        if first:
            fields = fields + [("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")]
        self.head(206 if first else 200, fields + [("Content-Length", len(content) - first)])
        self.sock.sendall(content[first:max(at, first)])

    def do_reset(self, request, keys, content, fields, body):
        self.part(request, content, fields, self.at(keys, content))
        time.sleep(0.05)  # an RST overtakes what the client has not read yet
        self.reset()

    def do_close(self, request, keys, content, fields, body):
        self.part(request, content, fields, self.at(keys, content))
        raise Gone

    def do_stall(self, request, keys, content, fields, body):
        self.part(request, content, fields, self.at(keys, content))
        self.silence()

    def do_trickle(self, request, keys, content, fields, body):
        self.head(200, fields + [("Content-Length", len(content))])
        n = int(keys.get("n", 1))
        for i in range(0, len(content), n):
            self.sock.sendall(content[i:i + n])
            time.sleep(float(keys.get("delay", 0.02)))

    def do_more(self, request, keys, content, fields, body):
        self.head(200, fields + [("Content-Length", len(content))])
        self.sock.sendall(content + b"x" * int(keys.get("extra", 10)))

    def do_flip(self, request, keys, content, fields, body):
        at, changed = self.at(keys, content), bytearray(content)
        changed[at] ^= 1
        self.do_ok(request, keys, bytes(changed), fields, body)

    def do_lengths(self, request, keys, content, fields, body):
        self.head(200, fields + [("Content-Length", len(content)), ("Content-Length", len(content) + 5)])
        self.sock.sendall(content)
        raise Gone

    def do_chunked(self, request, keys, content, fields, body):
        self.head(200, fields + [("Transfer-Encoding", "chunked")])
        n, fault = int(keys.get("n", 100)), keys.get("fault", "")
        for i in range(0, len(content), n):
            piece = content[i:i + n]
            if fault == "cut" and i >= len(content) // 2:
                self.sock.sendall(b"%x\r\n" % len(piece) + piece[:len(piece) // 2])
                raise Gone
            size = b"zz" if fault == "size" and i > 0 else b"%x;name=value" % len(piece)
            self.sock.sendall(size + b"\r\n" + piece + (b"more" if fault == "end" and i > 0 else b"") + b"\r\n")
        self.sock.sendall(b"0\r\n")
        while fault == "trailer":
            self.sock.sendall(b"X-Trailer: " + b"t" * 1000 + b"\r\n")
        self.sock.sendall(b"X-Trailer: t\r\n\r\n")

    def do_open(self, request, keys, content, fields, body):
        self.head(200, fields, keep=False)
        self.sock.sendall(content)
        raise Gone

    def do_html(self, request, keys, content, fields, body):
        self.answer(request, 200, [("Content-Type", "text/html; charset=utf-8")], b"<!DOCTYPE html><title>Sign in</title><p>Please sign in.\n")

    def do_json(self, request, keys, content, fields, body):
        self.answer(request, 200, [("Content-Type", "application/json")], keys.get("text", "{}").encode() + b" " * int(keys.get("fill", 0)))

    def do_status(self, request, keys, content, fields, body):
        with lock:
            counts[request.target] = counts.get(request.target, 0) + 1
            good = "count" in keys and counts[request.target] > int(keys["count"])
        if good:
            self.do_ok(request, keys, content, fields, body)
            return
        more = [("Content-Type", keys.get("type", "text/plain"))]
        if "retry_after" in keys:
            more.append(("Retry-After", keys["retry_after"]))
        if "header" in keys:
            more.append(tuple(keys["header"].split(": ", 1)))
        self.answer(request, int(keys.get("code", 500)), more, keys.get("text", "trouble").encode())

    def do_head(self, request, keys, content, fields, body):
        size = int(keys.get("bytes", 10_000_000))
        self.sock.sendall(b"HTTP/1.1 200 OK\r\n" + (b"X-Line: " if "line" in keys else b""))
        sent = 0
        while sent < size:
            piece = b"x" * 1000 if "line" in keys else b"X-Field-%d: " % sent + b"y" * 980 + b"\r\n"
            self.sock.sendall(piece)
            sent += len(piece)
        self.sock.sendall((b"\r\n" if "line" in keys else b"") + b"Content-Length: 2\r\n\r\nok")

    def do_garbage(self, request, keys, content, fields, body):
        self.sock.sendall(b"\x15\x03\x01\x00\x02\x02\x50 SSH-2.0-OpenSSH_9\r\n\r\n")
        raise Gone

    def do_informational(self, request, keys, content, fields, body):
        while True:
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def do_loop(self, request, keys, content, fields, body):
        n = int(keys.get("n", 0))
        self.answer(request, 302, [("Location", f"/do/loop?n={n + 1}")], b"on and on")

    def do_redirect(self, request, keys, content, fields, body):
        self.answer(request, int(keys.get("code", 302)), [("Location", keys.get("to", "/do/ok"))], b"elsewhere")

    def do_unauthorized(self, request, keys, content, fields, body):
        self.answer(request, 401, [("WWW-Authenticate", keys.get("challenge", 'Basic realm="here"'))], b"who are you?")

    def do_ignore_range(self, request, keys, content, fields, body):
        self.do_ok(request, keys, content, fields, body, ignore_range=True)

    def do_wrong_range(self, request, keys, content, fields, body):
        self.answer(request, 206, fields + [("Content-Range", f"bytes 1-{len(content) - 1}/{len(content)}")], content[1:])

    def do_unsatisfiable(self, request, keys, content, fields, body):
        self.answer(request, 416, [("Content-Range", f"bytes */{len(content)}")], b"")

    def do_drop(self, request, keys, content, fields, body):
        self.do_ok(request, keys, content, fields, body)
        if self.served >= int(keys.get("n", 1)):
            raise Gone

    def do_echo(self, request, keys, content, fields, body):
        text = json.dumps({"method": request.method, "target": request.target, "headers": request.headers, "body": len(body),
                           "sha256": hashlib.sha256(body).hexdigest(), "connection": self.number, "served": self.served})
        self.answer(request, 200, [("Content-Type", "application/json")], text.encode())

    def do_upgrade(self, request, keys, content, fields, body):
        if "refuse" in keys:
            self.answer(request, 200, fields, content)
            return
        self.head(101, [("Connection", "Upgrade"), ("Upgrade", request.get("Upgrade", "nothing"))])
        while True:
            data = self.file.read1(65536)
            if not data:
                raise Gone
            self.sock.sendall(data)

    # ---- as a proxy
    @staticmethod
    def host(name):
        return "127.0.0.1" if name.endswith(".test") else name

    def as_proxy(self, request):
        if options.password:
            wanted = "Basic " + base64.b64encode(options.password.encode()).decode()
            if request.get("Proxy-Authorization") != wanted:
                body = self.read_body(request)
                self.log(request, body, "refused")
                self.answer(request, 407, [("Proxy-Authenticate", 'Basic realm="proxy"')], b"who are you?")
                return True
        if request.method == "CONNECT":
            self.log(request, b"", "tunnel")
            host, _, port = request.target.rpartition(":")
            try:
                other = socket.create_connection((self.host(host.strip("[]")), int(port)), timeout=10)
            except OSError:
                self.answer(request, 502, [], b"no such server")
                return True
            self.head(200, [])
            ends = {self.sock: other, other: self.sock}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        raise Gone
                    ends[end].sendall(data)
        body = self.read_body(request)
        self.log(request, body, "forwarded")
        url = urllib.parse.urlsplit(request.target)
        server = http.client.HTTPConnection(self.host(url.hostname), url.port or 80, timeout=60)
        headers = {k: v for k, v in request.headers if not k.lower().startswith("proxy-")}
        server.request(request.method, urllib.parse.urlunsplit(("", "", url.path or "/", url.query, "")), body or None, headers)
        answer = server.getresponse()
        data = answer.read()
        fields = [(k, v) for k, v in answer.getheaders() if k.lower() not in ("connection", "transfer-encoding", "content-length")]
        self.answer(request, answer.status, fields, data)
        return True


def serve(sock, context):
    sock.settimeout(120)
    try:
        if context:
            sock = context.wrap_socket(sock, server_side=True)
        elif sock.recv(1, socket.MSG_PEEK) == b"\x16":  # a TLS handshake: answered as web servers do
            sock.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            raise Gone
        Conversation(sock).run()
    except (Gone, OSError, ValueError, ssl.SSLError, http.client.HTTPException):
        pass
    finally:
        try:
            if context and isinstance(sock, ssl.SSLSocket):
                sock.settimeout(1)
                sock = sock.unwrap()
        except (OSError, ValueError):
            pass
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        sock.close()


def main():
    global options, table, dice
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--tls", nargs=2)
    for name in ("client-ca", "table", "upstream", "root", "password", "log", "unix"):
        parser.add_argument("--" + name)
    parser.add_argument("--proxy", action="store_true")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    table = []
    if options.table:
        read_table()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    dice = random.Random(seed)
    print("seed", seed, file=sys.stderr, flush=True)
    context = None
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*options.tls)
        if options.client_ca:
            context.load_verify_locations(options.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    if options.unix:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(options.unix)
    else:
        listener = socket.socket(socket.AF_INET6 if ":" in options.address else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((options.address, options.port))
    listener.listen(128)
    print(options.unix or listener.getsockname()[1], flush=True)

    def watch():
        while os.read(0, 4096):
            pass
        os._exit(0)

    if not os.isatty(0):
        threading.Thread(target=watch, daemon=True).start()
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=serve, args=(sock, context), daemon=True).start()


main()
