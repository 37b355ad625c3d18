# door.py PORT KEY SECRET: stands before s3rver, which believes any signature of version 4, and checks them in its place. The
# first object that is fetched from its beginning breaks off in the middle. Prints its own port, then each request and its range.
import hashlib
import hmac
import socket
import sys
import threading

server_port, key, secret = int(sys.argv[1]), sys.argv[2], sys.argv[3]
broken = threading.Event()


def signature(request_line, headers, names, scope):
    method, path, _ = request_line.split(" ")
    canonical = [method, path.partition("?")[0], path.partition("?")[2]]
    canonical += [name + ":" + headers[name] for name in names.split(";")]
    canonical += ["", names, headers["x-amz-content-sha256"]]
    digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
    to_sign = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, digest])
    derived = ("AWS4" + secret).encode()
    for part in scope.split("/") + [to_sign]:
        derived = hmac.new(derived, part.encode(), "sha256").digest()
    return derived.hex()


def accepted(request_line, headers):
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    fields = dict(part.strip().split("=", 1) for part in rest.split(",") if "=" in part)
    if scheme != "AWS4-HMAC-SHA256" or "host" not in fields["SignedHeaders"].split(";"):
        return False
    who, _, scope = fields["Credential"].partition("/")
    return who == key and fields["Signature"] == signature(request_line, headers, fields["SignedHeaders"], scope)


def serve(client):
    head = b""
    while b"\r\n\r\n" not in head:
        more = client.recv(65536)
        if not more:
            return
        head += more
    request_line, _, rest = head.partition(b"\r\n")
    lines = rest.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    print(request_line.decode(), headers.get("range", "whole"), flush=True)
    if not accepted(request_line.decode(), headers):
        body = b"<Error><Code>SignatureDoesNotMatch</Code></Error>"
        client.sendall(b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body))
        if not request_line.startswith(b"HEAD"):
            client.sendall(body)
        client.close()
        return
    server = socket.create_connection(("127.0.0.1", server_port))
    server.sendall(request_line + b"\r\nConnection: close\r\n" + rest)
    left = 1 << 40
    if request_line.startswith(b"GET") and not broken.is_set():
        broken.set()
        left = 300000
    while left > 0 and (data := server.recv(min(65536, left))):
        client.sendall(data)
        left -= len(data)
    client.close()


listener = socket.create_server(("127.0.0.1", 0))
print("door", listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
