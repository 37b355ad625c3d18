# Speaks to a hub: hub_client.py BASE COMMAND ...; each command prints what the test looks at.
#   push TOKEN E/C/N FILE [TAG]      the calls of a client's push by API v1; the image's id
#   status TOKEN METHOD PATH [BODY]  the status alone ("-" for no token)
#   get TOKEN PATH [RANGE]           status and SHA-256 of the body
#   cut TOKEN E/C/N FILE             a push whose upload ends after the first bytes
#   addkey TOKEN FILE                sends a public key; status and answer
#   text TOKEN PATH                  the body
#   twice TOKEN PATH                 a PUT with a body that nobody reads, and a GET on the same connection
#   idle COUNT                       holds so many silent connections; the seconds a request takes meanwhile
#   watch TOKEN BUILD                the log by WebSocket, then "closed CODE"
#   viewers TOKEN BUILD COUNT        so many at once: how many got the same whole log and the close 1000
#   frames TOKEN BUILD HEX           sends these bytes after the handshake; the code of the server's close
#   upgrade TOKEN BUILD NAME=VALUE.. the status of a handshake with other headers
import base64, hashlib, http.client, json, os, selectors, socket, ssl, struct, sys, time, urllib.parse

base = urllib.parse.urlparse(sys.argv[1])
command, args = sys.argv[2], sys.argv[3:]


tls = ssl.create_default_context() if base.scheme == "https" else None  # SSL_CERT_FILE names the authority


def connect():
    if tls:
        return http.client.HTTPSConnection(base.hostname, base.port, timeout=60, context=tls)
    return http.client.HTTPConnection(base.hostname, base.port, timeout=60)


def connection(timeout=None):
    s = socket.create_connection((base.hostname, base.port), timeout=timeout)
    return tls.wrap_socket(s, server_hostname=base.hostname) if tls else s


def call(token, method, path, body=None, headers={}):
    c = connect()
    headers = dict(headers)
    if token != "-":
        headers["Authorization"] = "Bearer " + token
    c.request(method, path, body, headers)
    r = c.getresponse()
    return r.status, r.read()


def need(token, method, path, body):
    status, text = call(token, method, path, json.dumps(body))
    if status not in (200, 201):
        sys.exit(f"{method} {path}: {status} {text.decode()}")
    return json.loads(text)["data"]


def image(token, name, data):
    entity, collection, container = name.split("/")
    e = need(token, "POST", "/v1/entities", {"name": entity})["id"]
    c = need(token, "POST", "/v1/collections", {"name": collection, "entity": e, "private": collection == "secret"})["id"]
    n = need(token, "POST", "/v1/containers", {"name": container, "collection": c})["id"]
    return n, need(token, "POST", "/v1/images", {"hash": "sha256." + hashlib.sha256(data).hexdigest(), "container": n})["id"]


def websocket(token, build, headers={}):
    s = connection(120)
    key = base64.b64encode(os.urandom(16)).decode()
    head = {"Host": base.netloc, "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13"}
    if token != "-":
        head["Authorization"] = "Bearer " + token
    head.update(headers)
    s.sendall((f"GET /v1/build-ws/{build} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in head.items() if v) + "\r\n").encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        more = s.recv(1)
        if not more:
            sys.exit("no answer")
        answer += more
    status = int(answer.split(b" ")[1])
    accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
    if status == 101 and b"Sec-WebSocket-Accept: " + accept not in answer:
        sys.exit("a wrong Sec-WebSocket-Accept")
    return s, status


def frames(data):  # of a bytearray, those that are whole are taken from it
    while len(data) >= 2:
        size, at = data[1] & 127, 2
        if data[1] & 128:
            sys.exit("a masked frame from a server")
        if size > 125:
            at = 4 if size == 126 else 10
            if len(data) < at:
                return
            size = int.from_bytes(data[2:at], "big")
        if len(data) < at + size:
            return
        yield data[0], bytes(data[at : at + size])
        del data[: at + size]


def masked(opcode, payload):
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + b"\1\2\3\4" + bytes(b ^ (i % 4 + 1) for i, b in enumerate(payload))


def code(payload):
    return struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else 1005


if command == "watch":
    s, status = websocket(args[0], args[1])
    if status != 101:
        sys.exit(f"status {status}")
    data = bytearray()
    while True:
        more = s.recv(65536)
        if not more:
            sys.exit("the connection broke")
        data += more
        for first, payload in frames(data):
            if first == 0x81:
                sys.stdout.write(payload.decode())
            elif first == 0x89:
                s.sendall(masked(10, payload))
            elif first == 0x88:
                s.sendall(masked(8, payload))
                print("closed", code(payload))
                sys.exit(0)
elif command == "viewers":
    select, logs, ends = selectors.DefaultSelector(), {}, {}
    for i in range(int(args[2])):
        s, status = websocket(args[0], args[1])
        if status != 101:
            sys.exit(f"status {status}")
        s.setblocking(False)
        select.register(s, selectors.EVENT_READ, (i, bytearray()))
        logs[i] = hashlib.sha256()
    print("open", flush=True)
    while len(ends) < len(logs):
        for key, _ in select.select():
            i, data = key.data
            more = key.fileobj.recv(65536)
            data += more
            for first, payload in frames(data):
                if first == 0x81:
                    logs[i].update(payload)
                elif first == 0x89:
                    key.fileobj.send(masked(10, payload))
                elif first == 0x88:
                    ends[i] = code(payload)
            if i in ends or not more:
                ends.setdefault(i, "broken")
                select.unregister(key.fileobj)
                key.fileobj.close()
    print(sum(1 for e in ends.values() if e == 1000), len({h.hexdigest() for h in logs.values()}), logs[0].hexdigest())
elif command == "frames":
    s, status = websocket(args[0], args[1])
    s.sendall(bytes.fromhex(args[2]))
    data = bytearray()
    while True:
        more = s.recv(65536)
        if not more:
            print("no close")
            break
        data += more
        for first, payload in frames(data):
            if first == 0x88:
                print(code(payload))
                sys.exit(0)
elif command == "upgrade":
    print(websocket(args[0], args[1], dict(a.split("=", 1) for a in args[2:]))[1])
elif command == "push":
    data = open(args[2], "rb").read()
    container, i = image(args[0], args[1], data)
    status, text = call(args[0], "POST", "/v1/imagefile/" + i, data)
    if status != 200:
        sys.exit(f"upload: {status} {text.decode()}")
    if len(args) > 3:
        need(args[0], "POST", "/v2/tags/" + container, {"Arch": "", "Tag": args[3], "ImageID": i})
    print(i)
elif command == "status":
    print(call(*args)[0])
elif command == "get":
    status, body = call(args[0], "GET", args[1], None, {"Range": args[2]} if len(args) > 2 else {})
    print(status, hashlib.sha256(body).hexdigest())
elif command == "cut":
    data = open(args[2], "rb").read()
    _, i = image(args[0], args[1], data)
    s = connection()
    head = f"POST /v1/imagefile/{i} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {args[0]}\r\nContent-Length: {len(data)}\r\n\r\n"
    s.sendall(head.encode() + data[:1000])
    if tls:  # Python ends TLS as a whole
        s.close()
        print("gone")
    else:
        s.shutdown(socket.SHUT_WR)
        print(s.recv(4096).split(b" ")[1].decode())
elif command == "addkey":
    status, text = call(args[0], "POST", "/pks/add", urllib.parse.urlencode({"keytext": open(args[1]).read()}), {"Content-Type": "application/x-www-form-urlencoded"})
    print(status, text.decode(errors="replace"))
elif command == "text":
    print(call(args[0], "GET", args[1])[1].decode())
elif command == "twice":
    c = connect()
    c.request("DELETE", args[1], "{}", {"Authorization": "Bearer " + args[0]})
    r = c.getresponse()
    r.read()
    c.request("GET", "/healthz")
    print(c.getresponse().status)
elif command == "idle":
    held = [socket.create_connection((base.hostname, base.port)) for _ in range(int(args[0]))]
    for s in held:
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost:")  # never ends
    begin = time.monotonic()
    status = call("-", "GET", "/healthz")[0]
    print(status, "at once" if time.monotonic() - begin < 1 else "late")
    held[0].settimeout(60)
    try:
        print("closed" if held[0].recv(1) == b"" else "open")
    except ConnectionResetError:  # what was sent lay there unread
        print("closed")
