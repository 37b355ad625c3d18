#!/usr/bin/env python3
"""Makes an image and puts it into a registry by its HTTP interface.

  push_image.py URL NAME:TAG [--arch A,B] [--layers N] [--size BYTES] [--docker] [--base TEXT]

URL as http://127.0.0.1:5000. Each architecture's image has busybox, /arch with its name, and N layers of one file of
SIZE random bytes each (the same for the same --base, so that images can share layers). Several architectures make an
index. Prints the digest of what the tag names, then one "ARCH DIGEST" for each image.
"""
import argparse, gzip, hashlib, http.client, io, json, random, shutil, sys, tarfile, urllib.parse

parser = argparse.ArgumentParser()
parser.add_argument("url")
parser.add_argument("name")
parser.add_argument("--arch", default="amd64")
parser.add_argument("--layers", type=int, default=1)
parser.add_argument("--size", type=int, default=1000)
parser.add_argument("--docker", action="store_true")
parser.add_argument("--base", default="base")
o = parser.parse_args()
where = urllib.parse.urlsplit(o.url)
repository, tag = o.name.rsplit(":", 1)
TYPES = {
    "config": ("application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"),
    "layer": ("application/vnd.oci.image.layer.v1.tar+gzip", "application/vnd.docker.image.rootfs.diff.tar.gzip"),
    "manifest": ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"),
    "index": ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"),
}


def kind(name):
    return TYPES[name][1 if o.docker else 0]


def request(method, path, body=None, headers={}):
    c = http.client.HTTPConnection(where.hostname, where.port, timeout=60)
    c.request(method, path, body, headers)
    r = c.getresponse()
    data = r.read()
    if r.status >= 300:
        sys.exit(f"{method} {path}: {r.status} {data[:300]}")
    return r


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def put_blob(data, what):
    at = request("POST", f"/v2/{repository}/blobs/uploads/").headers["Location"]
    at = urllib.parse.urlsplit(at)
    request("PUT", f"{at.path}?{at.query}{'&' if at.query else ''}digest={digest(data)}", data, {"Content-Type": "application/octet-stream"})
    return {"mediaType": kind(what), "size": len(data), "digest": digest(data)}


def put_manifest(document, what, name):
    data = json.dumps(document).encode()
    request("PUT", f"/v2/{repository}/manifests/{name}", data, {"Content-Type": kind(what)})
    return {"mediaType": kind(what), "size": len(data), "digest": digest(data)}


def tar(files):
    b = io.BytesIO()
    with tarfile.open(fileobj=b, mode="w") as t:
        for name, data, mode in files:
            n = tarfile.TarInfo(name)
            n.mode = mode
            if isinstance(data, str):
                n.type, n.linkname = tarfile.SYMTYPE, data
                t.addfile(n)
            else:
                n.size = len(data)
                t.addfile(n, io.BytesIO(data))
    return b.getvalue()


def image(arch):
    busybox = open(shutil.which("busybox"), "rb").read()
    tars = [tar([("bin/busybox", busybox, 0o755), ("bin/sh", "busybox", 0o777)])]
    for i in range(o.layers):
        data = random.Random(f"{o.base} {i}").randbytes(o.size)
        tars.append(tar([(f"data{i}", data, 0o644)]))
    tars.append(tar([("arch", arch.encode() + b"\n", 0o644)]))
    layers = [put_blob(gzip.compress(t, 1, mtime=0), "layer") for t in tars]
    config = {"architecture": arch, "os": "linux", "config": {"Cmd": ["/bin/sh"]},
              "rootfs": {"type": "layers", "diff_ids": [digest(t) for t in tars]}}
    m = {"schemaVersion": 2, "mediaType": kind("manifest"), "config": put_blob(json.dumps(config).encode(), "config"), "layers": layers}
    return m


archs = o.arch.split(",")
if len(archs) == 1:
    d = put_manifest(image(archs[0]), "manifest", tag)
    print(d["digest"])
    print(archs[0], d["digest"])
else:
    entries = []
    for a in archs:
        m = image(a)
        name = digest(json.dumps(m).encode())
        entries.append(dict(put_manifest(m, "manifest", name), platform={"architecture": a, "os": "linux"}))
    print(put_manifest({"schemaVersion": 2, "mediaType": kind("index"), "manifests": entries}, "index", tag)["digest"])
    for a, e in zip(archs, entries):
        print(a, e["digest"])
