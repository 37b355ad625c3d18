# Speaks to a hub: hub_client.py BASE COMMAND ...; each command prints what the test looks at.
#   push TOKEN E/C/N FILE [TAG]      the calls of a client's push by API v1; the image's id
#   status TOKEN METHOD PATH [BODY]  the status alone ("-" for no token)
#   get TOKEN PATH [RANGE]           status and SHA-256 of the body
#   cut TOKEN E/C/N FILE             a push whose upload ends after the first bytes
#   addkey TOKEN FILE                sends a public key; status and answer
#   text TOKEN PATH                  the body
#   twice TOKEN PATH                 a PUT with a body that nobody reads, and a GET on the same connection
#   idle COUNT                       holds so many silent connections; the seconds a request takes meanwhile
import hashlib, http.client, json, socket, sys, time, urllib.parse

base = urllib.parse.urlparse(sys.argv[1])
command, args = sys.argv[2], sys.argv[3:]


def connect():
    return http.client.HTTPConnection(base.hostname, base.port, timeout=60)


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


if command == "push":
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
    s = socket.create_connection((base.hostname, base.port))
    head = f"POST /v1/imagefile/{i} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {args[0]}\r\nContent-Length: {len(data)}\r\n\r\n"
    s.sendall(head.encode() + data[:1000])
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
