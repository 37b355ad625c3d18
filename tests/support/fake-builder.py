#!/usr/bin/env python3
"""fake-builder.py IMAGE DIRECTORY: a remote builder and its library on a free port of 127.0.0.1, over plain http.

Prints "port N". Every build makes IMAGE. What it is asked goes into DIRECTORY: `requests` (a line for each: "METHOD PATH
[token TOKEN]"), `build.json` (the last build), `context.tar.gz` (the last context). The first part of a path names a fault:

  ok         none                              failed      the build fails
  cut        the log breaks off once           gone        it breaks off always
  bare       the builder tells no checksum     nosum       neither does the library
  wrong      the builder's checksum is wrong   longer      the image is longer than was told
  short      the image is sent in halves       closed      every request is answered with 401
  nolog      there is no log                   none        there is no builder
  noise      a log in pieces, with pings and bytes that steer terminals
  broken     a log that breaks the protocol    slow        a log that comes in small pieces, after a pause
  forever    a log that does not end           known       the builder has the context already
  odd        the answer names no image that can be asked for
"""
import base64, hashlib, http.server, json, os, struct, sys, time

image_file, directory = sys.argv[1:]
with open(image_file, "rb") as f:
    image = f.read()
ID = "5f0e1c2d3b4a596877665544"
LINES = ["searching for available build agent.........\n", "INFO:    Starting build...\n", "INFO:    Build complete: /tmp/image\n"]
counts = {}


def frame(first, payload):
    n = len(payload)
    head = bytes([first, n]) if n < 126 else struct.pack("!BBH", first, 126, n) if n < 65536 else struct.pack("!BBQ", first, 127, n)
    return head + payload


class Builder(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def reply(self, status, data=None, headers=(), raw=None):
        body = raw if raw is not None else json.dumps({"data": data} if status < 300 else {"error": {"code": status, "message": data}}).encode()
        if status == 204:
            body = b""
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        token = self.headers.get("Authorization", "")
        with open(os.path.join(directory, "requests"), "a") as f:
            f.write(self.command + " " + self.path + (" token " + token.split()[-1] if token else "") + "\n")
        _, fault, path = self.path.split("/", 2)
        path, _, query = path.partition("?")
        base = "http://%s/%s" % (self.headers["Host"], fault)
        complete = {"id": ID, "isComplete": fault != "failed", "imageSize": 0 if fault == "failed" else len(image), "libraryURL": base,
                    "libraryRef": "library://remote-builds/rb-%s:latest" % ID, "imageChecksum": "sha256." + hashlib.sha256(image).hexdigest()}
        if fault in ("bare", "nosum"):
            del complete["imageChecksum"]
        if fault == "wrong":
            complete["imageChecksum"] = "sha256." + "0" * 64
        if fault == "longer":
            complete["imageSize"] -= 10
        if fault == "odd":
            complete["libraryRef"] = "library://a/../../v1/secrets"
        if fault == "closed":
            return self.reply(401, "who are you?")
        if fault == "none":
            return self.reply(404, "nothing here")
        if (self.command, path) == ("POST", "v1/build-context"):
            self.wanted = json.loads(body)
            counts["context"] = self.wanted
            return self.reply(200 if fault == "known" else 201, {}, [] if fault == "known" else [("Location", "/%s/upload/1" % fault)])
        if (self.command, path) == ("PUT", "upload/1"):
            if len(body) != counts["context"]["size"] or "sha256." + hashlib.sha256(body).hexdigest() != counts["context"]["digest"]:
                return self.reply(400, "the context is not what was announced")
            with open(os.path.join(directory, "context.tar.gz"), "wb") as f:
                f.write(body)
            return self.reply(200, {})
        if self.command == "DELETE" and path.startswith("v1/build-context/sha256."):
            return self.reply(204)
        if (self.command, path) == ("POST", "v1/build"):
            request = json.loads(body)
            request["definition"] = base64.b64decode(request["definitionRaw"]).decode()
            with open(os.path.join(directory, "build.json"), "w") as f:
                json.dump(request, f)
            return self.reply(201, dict(complete, isComplete=False, imageSize=0, libraryRef=request["libraryRef"] or complete["libraryRef"]))
        if (self.command, path) == ("GET", "v1/build/" + ID):
            return self.reply(200, complete)
        if (self.command, path) == ("PUT", "v1/build/%s/_cancel" % ID):
            return self.reply(204)
        if (self.command, path) == ("GET", "v1/build-ws/" + ID) and fault != "nolog":
            return self.log(fault)
        if self.command == "GET" and path.startswith("v1/images/"):
            return self.reply(200, {"hash": "" if fault == "nosum" else "sha256." + hashlib.sha256(image).hexdigest()})
        if self.command == "GET" and path == "v1/imagefile/remote-builds/rb-%s:latest" % ID and query.startswith("arch="):
            return self.image(fault)
        self.reply(404, "no such thing: " + path)

    do_GET = do_PUT = do_POST = do_DELETE = answer

    def image(self, fault):
        begin = int(self.headers["Range"].split("=")[1].split("-")[0]) if "Range" in self.headers else 0
        headers = [("Content-Range", "bytes %d-%d/%d" % (begin, len(image) - 1, len(image)))] if begin else []
        self.send_response(206 if begin else 200)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(image) - begin))
        self.end_headers()
        if fault == "short" and not begin:
            self.wfile.write(image[:len(image) // 2])
            self.close_connection = True
            return
        self.wfile.write(image[begin:])

    def log(self, fault):
        key = self.headers["Sec-WebSocket-Key"]
        if self.headers["Upgrade"].lower() != "websocket" or len(base64.b64decode(key)) != 16 or self.headers["Sec-WebSocket-Version"] != "13":
            return self.reply(400, "no WebSocket")
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        self.send_response(101)
        for name, value in (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)):
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        out, text = self.wfile, "".join(LINES).encode()
        counts[fault] = counts.get(fault, 0) + 1
        if fault == "gone" or (fault == "cut" and counts[fault] == 1):
            out.write(frame(0x81, text[:60]) + frame(0x01, text[60:70])[:5])
            return
        if fault == "noise":
            out.write(frame(0x01, text[:10]) + frame(0x89, b"ping") + frame(0x00, text[10:20]) + frame(0x80, text[20:]) + frame(0x82, b"binary"))
            out.write(frame(0x81, b"\x1b]0;title\x07\x1b[31mred\x1b[0m\n"))
            if not self.rfile.read(6 + 4)[0] == 0x8a:
                return
        elif fault == "broken":
            out.write(frame(0x81, text[:20]) + b"\xff\xff\xff\xff")
            return
        elif fault == "slow":
            for i in range(len(text)):
                out.write(frame(0x81, text[i:i + 1]))
                if i % 40 == 0:
                    time.sleep(0.2)
        elif fault == "forever":
            out.write(frame(0x81, text[:45]))
            self.rfile.read(1)  # until the client goes
            return
        else:
            out.write(frame(0x81, text) + (frame(0x81, b"FATAL:   While performing build: no such image\n") if fault == "failed" else b""))
        out.write(frame(0x88, struct.pack("!H", 1000)))
        self.rfile.read(2)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Builder)
server.daemon_threads = True
print("port", server.server_address[1], flush=True)
server.serve_forever()
