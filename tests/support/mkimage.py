#!/usr/bin/env python3
"""mkimage.py OUTPUT-DIRECTORY BUSYBOX

Writes the OCI layouts of the integration tests, byte for byte the same each time: every case that a layer can
hold, made with tarfile and hashlib alone so that no tool under test takes part.

    full.oci       tag latest: busybox, every kind of node, three layers with whiteouts
    tiny.oci       one layer, no entrypoint, no command
    noshell.oci    no shell: the one program is static
    two.oci        two images, one and two
    index.oci      an index of several platforms, an attestation and an unknown entry
    zstd.oci, plain.oci, xz.oci   the layers of full, compressed otherwise (media types do not tell the truth)
    bad-*.oci      each wrong in one way
    save-old.tar, save-new.tar    as `docker save` of different ages writes full; save-two.tar two images
"""
import gzip, hashlib, io, json, lzma, os, random, shutil, subprocess, sys, tarfile

MTIME = 1_600_000_000
CREATED = "2020-09-13T12:26:40Z"
OCI = "application/vnd.oci.image."
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


class Layer:
    def __init__(self):
        self.bytes = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.bytes, mode="w", format=tarfile.PAX_FORMAT)

    def add(self, name, type=tarfile.REGTYPE, data=b"", mode=0o644, uid=0, gid=0, link="", mtime=MTIME, dev=(0, 0), xattrs=None):
        i = tarfile.TarInfo(name)
        i.type, i.mode, i.uid, i.gid, i.linkname, i.mtime = type, mode, uid, gid, link, mtime
        i.devmajor, i.devminor = dev
        i.size = len(data) if type == tarfile.REGTYPE else 0
        for k, v in (xattrs or {}).items():
            i.pax_headers["SCHILY.xattr." + k] = v.decode("utf-8", "surrogateescape")
        self.tar.addfile(i, io.BytesIO(data) if i.size else None)

    def dir(self, name, mode=0o755, **k):
        self.add(name + "/", tarfile.DIRTYPE, mode=mode, **k)

    def link(self, name, target, **k):
        self.add(name, tarfile.SYMTYPE, link=target, mode=0o777, **k)

    def hard(self, name, target):
        self.add(name, tarfile.LNKTYPE, link=target)

    def done(self):
        self.tar.close()
        return self.bytes.getvalue()


def sha(b):
    return "sha256:" + hashlib.sha256(b).hexdigest()


class Layout:
    def __init__(self, path):
        self.path, self.manifests = path, []
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path + "/blobs/sha256")
        self.write("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')

    def write(self, name, data):
        with open(self.path + "/" + name, "wb") as f:
            f.write(data)

    def blob(self, data):
        d = sha(data)
        self.write("blobs/sha256/" + d[7:], data)
        return d

    def descriptor(self, media, data, **more):
        return {"mediaType": media, "digest": self.blob(data), "size": len(data), **more}

    def image(self, layers, config, compress=lambda b: gzip.compress(b, 6, mtime=0), media=OCI + "layer.v1.tar+gzip",
              arch=ARCH, diff_ids=None, change=lambda m: m):
        body = {"architecture": arch, "os": "linux", "created": CREATED, "config": config,
                "rootfs": {"type": "layers", "diff_ids": diff_ids or [sha(l) for l in layers]}}
        manifest = {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
                    "config": self.descriptor(OCI + "config.v1+json", json.dumps(body).encode()),
                    "layers": [self.descriptor(media, compress(l)) for l in layers]}
        return self.descriptor(OCI + "manifest.v1+json", json.dumps(change(manifest)).encode())

    def add(self, descriptor, tag=None, **more):
        descriptor = dict(descriptor, **more)
        if tag:
            descriptor["annotations"] = {"org.opencontainers.image.ref.name": tag}
        self.manifests.append(descriptor)

    def done(self):
        self.write("index.json", json.dumps({"schemaVersion": 2, "mediaType": OCI + "index.v1+json",
                                             "manifests": self.manifests}).encode())


def busybox_layer(busybox):
    l = Layer()
    for d in "bin etc dev proc sys root home usr usr/bin usr/sbin var opt".split():
        l.dir(d)
    l.dir("tmp", 0o1777)
    l.dir("var/tmp", 0o1777)
    l.add("bin/busybox", data=busybox, mode=0o755)
    for a in ("sh ash cat ls id env echo true false pwd sleep stat test mkdir rm touch ps kill head wc dd cp printf grep "
              "sort hostname tty ln mount trap uname find sed readlink basename dirname cut tr date").split():
        l.link("bin/" + a, "busybox")
    l.add("etc/passwd", data=b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
    l.add("etc/group", data=b"root:x:0:\nnogroup:x:65534:\n")
    l.add("etc/motd", data=b"layer one\n")
    return l


def capability(bits):  # struct vfs_cap_data, version 2, effective
    return (0x02000001).to_bytes(4, "little") + bits.to_bytes(4, "little") + bytes(12)


def full_layers(busybox):
    r = random.Random(42)
    a = busybox_layer(busybox)
    a.dir("lab")
    a.add("lab/owned", data=b"owned\n", uid=12345, gid=23456, mode=0o640)
    a.add("lab/setuid", data=b"#!/bin/sh\n", mode=0o4755)
    a.dir("lab/setgid", 0o2775, uid=7, gid=8)
    a.dir("lab/secret", 0o700, uid=1000, gid=1000)
    a.add("lab/secret/inside", data=b"s\n", mode=0o600, uid=1000, gid=1000)
    a.add("lab/hard", data=b"hard\n")
    a.hard("lab/hard2", "lab/hard")
    a.hard("lab/setgid/hard3", "lab/hard")
    a.add("lab/gone", data=b"gone\n")
    a.dir("lab/opaque")
    a.add("lab/opaque/old", data=b"old\n")
    a.dir("lab/dir-then-file")
    a.add("lab/dir-then-file/x", data=b"x\n")
    a.add("lab/file-then-dir", data=b"f\n")
    a.link("lab/link-then-dir", "opaque")
    a.add("lab/replaced", data=b"first\n")
    a.hard("lab/keeps-first", "lab/replaced")
    a.add("lab/empty")
    a.add("lab/big", data=r.randbytes(700_000) + bytes(600_000) + r.randbytes(300_001))
    a.add("lab/exact", data=r.randbytes(131_072 * 2))
    a.add("lab/zeros", data=bytes(1_000_000))
    for i in range(40):
        a.add("lab/small%02d" % i, data=r.randbytes(3000 + i))
    a.add("lab/same1", data=b"same content\n" * 2000)
    a.add("lab/same2", data=b"same content\n" * 2000)
    a.link("lab/dangling", "nowhere/at/all")
    a.link("lab/up", "../../../../etc/passwd")
    a.add("lab/fifo", tarfile.FIFOTYPE)
    a.add("lab/null", tarfile.CHRTYPE, dev=(1, 3), mode=0o666)
    a.add("lab/block", tarfile.BLKTYPE, dev=(7, 200), mode=0o660)
    a.add("lab/sp ace", data=b"space\n")
    a.add("lab/new\nline", data=b"newline\n")
    a.add("lab/\u00fcn\u00ef", data=b"utf\n")
    a.dir("lab/" + "n" * 200)
    a.dir("lab/" + "n" * 200 + "/" + "m" * 200)
    a.add("lab/" + "n" * 200 + "/" + "m" * 200 + "/leaf", data=b"leaf\n")
    a.add("lab/xattr", data=b"x\n", xattrs={"user.demo": b"value", "user.other": b"two"})
    a.add("lab/capable", data=b"c\n", mode=0o755, xattrs={"security.capability": capability(1 << 13)})
    a.add("lab/old-time", data=b"t\n", mtime=1)
    b = Layer()
    b.add("etc/motd", data=b"layer two\n")
    b.add("lab/.wh.gone")
    b.dir("lab/opaque", 0o750)
    b.add("lab/opaque/.wh..wh..opq")
    b.add("lab/opaque/new", data=b"new\n")
    b.add("lab/dir-then-file", data=b"now a file\n")
    b.dir("lab/file-then-dir")
    b.add("lab/file-then-dir/y", data=b"y\n")
    b.dir("lab/link-then-dir")
    b.add("lab/link-then-dir/z", data=b"z\n")
    b.add("lab/replaced", data=b"second\n")
    b.hard("lab/hard-to-older", "lab/owned")
    c = Layer()
    c.dir("usr/local", 0o755)
    c.dir("usr/local/bin")
    c.add("usr/local/bin/say", data=b"#!/bin/sh\necho \"say $*\"\n", mode=0o755)
    c.add("usr/local/bin/status", data=b"#!/bin/sh\nexit ${1:-0}\n", mode=0o755)
    c.add("usr/local/bin/no-interpreter", data=b"echo without interpreter\n", mode=0o755)
    return [a.done(), b.done(), c.done()]


CONFIG = {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "COLOUR=blue", "QUOTED=a 'single' and \"double\" $dollar `tick` \\back",
                  "EMPTY=", "2BAD=no"],
          "Entrypoint": ["/bin/sh", "-c", "echo entry \"$0\" \"$@\""], "Cmd": ["cmd", "two words"],
          "Labels": {"org.example.name": "full", "org.example.quote": "a \"quoted\" $value"}, "WorkingDir": "/lab"}


def archive(path, entries):
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as t:
        for name, data in entries:
            i = tarfile.TarInfo(name)
            i.mtime = MTIME
            if isinstance(data, bytes):
                i.size = len(data)
                t.addfile(i, io.BytesIO(data))
            elif data is None:
                i.type, i.mode = tarfile.DIRTYPE, 0o755
                t.addfile(i)
            else:
                i.type, i.linkname = tarfile.SYMTYPE, data
                t.addfile(i)


def save(path, layers, config, tags, old):
    body = json.dumps({"architecture": ARCH, "os": "linux", "created": CREATED, "config": config,
                       "rootfs": {"type": "layers", "diff_ids": [sha(l) for l in layers]}}).encode()
    h = sha(body)[7:]
    if old:  # up to Docker 24: a directory for each layer; a repeated layer is a symbolic link
        names = ["%064x/layer.tar" % (i + 1) for i in range(len(layers))]
        entries = []
        for n, l in zip(names, layers):
            entries += [(n.split("/")[0], None), (n.split("/")[0] + "/VERSION", b"1.0"), (n.split("/")[0] + "/json", b"{}"), (n, l)]
        entries.append((h + ".json", body))
        config_name = h + ".json"
    else:
        names = ["blobs/sha256/" + sha(l)[7:] for l in layers]
        entries = list(zip(names, layers)) + [("blobs/sha256/" + h, body)]
        config_name = "blobs/sha256/" + h
    item = [{"Config": config_name, "RepoTags": tags, "Layers": names}]
    return item, entries


def main():
    out, busybox = sys.argv[1], open(sys.argv[2], "rb").read()
    layers = full_layers(busybox)

    def one(name, tag="latest", layers=layers, config=CONFIG, **k):
        o = Layout(out + "/" + name + ".oci")
        o.add(o.image(layers, config, **k), tag)
        o.done()
        return o

    one("full")
    one("plain", compress=lambda b: b)
    one("xz", compress=lambda b: lzma.compress(b, preset=1))
    one("zstd", compress=lambda b: subprocess.run(["zstd", "-q", "-3", "-c"], input=b, stdout=subprocess.PIPE, check=True).stdout)
    members = lambda b: b"".join(gzip.compress(b[i:i + 400_000], 1, mtime=0) for i in range(0, len(b), 400_000))
    one("members", compress=members)
    tiny = busybox_layer(busybox).done()
    one("tiny", layers=[tiny], config={"Env": ["PATH=/bin"]})
    one("cmd", layers=[tiny], config={"Env": ["PATH=/bin"], "Cmd": ["/bin/echo", "only", "cmd"]})
    n = Layer()
    n.dir("bin")
    n.add("bin/busybox", data=busybox, mode=0o755)
    n.link("bin/true", "busybox")
    n.link("bin/echo", "busybox")
    one("noshell", layers=[n.done()], config={"Env": ["PATH=/bin", "FROM=image"], "Cmd": ["/bin/echo", "no shell"]})

    o = Layout(out + "/two.oci")
    o.add(o.image([tiny], {"Cmd": ["/bin/echo", "one"], "Env": ["PATH=/bin"]}), "one")
    o.add(o.image([tiny], {"Cmd": ["/bin/echo", "two"], "Env": ["PATH=/bin"]}), "two")
    o.done()

    o = Layout(out + "/index.oci")
    other = "arm64" if ARCH == "amd64" else "amd64"
    # Programs of the other architecture: busybox with another machine in its ELF header.
    foreign = busybox_layer(busybox[:18] + (183 if other == "arm64" else 62).to_bytes(2, "little") + busybox[20:]).done()
    entries = []
    for arch, layer in ((other, foreign), (ARCH, tiny)):
        entries.append(dict(o.image([layer], {"Env": ["PATH=/bin", "BUILT_FOR=" + arch]}, arch=arch),
                            platform={"os": "linux", "architecture": arch}))
    entries.append(dict(o.image([tiny], {}), platform={"os": "unknown", "architecture": "unknown"},
                        annotations={"vnd.docker.reference.type": "attestation-manifest"}))
    entries.append(o.descriptor("application/x-nobody-knows", b"{}"))
    o.add(o.descriptor(OCI + "index.v1+json", json.dumps({"schemaVersion": 2, "mediaType": OCI + "index.v1+json",
                                                          "manifests": entries}).encode()), "multi")
    o.done()

    # Each wrong in one way.
    o = one("bad-digest")
    big = max((f for f in os.listdir(o.path + "/blobs/sha256")), key=lambda f: os.path.getsize(o.path + "/blobs/sha256/" + f))
    with open(o.path + "/blobs/sha256/" + big, "r+b") as f:
        f.seek(os.path.getsize(f.name) // 2)
        byte = f.read(1)
        f.seek(-1, 1)
        f.write(bytes([byte[0] ^ 0x40]))
    o = one("bad-truncated")
    os.truncate(o.path + "/blobs/sha256/" + big, os.path.getsize(o.path + "/blobs/sha256/" + big) // 3)
    o = one("bad-missing")
    os.remove(o.path + "/blobs/sha256/" + big)
    one("bad-diffid", diff_ids=[sha(b"something else")] + [sha(l) for l in layers[1:]])
    one("bad-count", diff_ids=[sha(l) for l in layers[:2]])
    one("bad-both", change=lambda m: dict(m, manifests=[]))
    o = one("bad-json")
    o.write("index.json", b'{"schemaVersion": 2, "manifests": [')
    o = one("bad-layout")
    os.remove(o.path + "/oci-layout")
    o = Layout(out + "/bad-empty.oci")
    o.done()
    o = one("bad-arch", layers=[tiny], config={}, arch="s390x")

    def hostile(name, fill):
        l = busybox_layer(busybox)
        fill(l)
        one("bad-" + name, layers=[l.done()], config={"Env": ["PATH=/bin"]})

    hostile("hard-to-dir", lambda l: l.hard("lab", "etc"))
    hostile("hard-missing", lambda l: l.hard("lab", "not/there"))
    hostile("wh-alone", lambda l: l.add("etc/.wh."))
    # Names that climb stay inside the root; this one is right, and must not write beside it.
    c = busybox_layer(busybox)
    c.add("../../../../climbed", data=b"inside\n")
    c.add("/absolute", data=b"inside\n")
    c.link("esc", "../../../../../../tmp")
    c.add("esc/through-link", data=b"inside\n")
    one("climb", layers=[c.done()], config={"Env": ["PATH=/bin"]})
    # A header that promises a terabyte, and then nothing.
    i = tarfile.TarInfo("huge")
    i.size = 1 << 40
    one("bad-huge", layers=[i.tobuf(tarfile.GNU_FORMAT)], config={})

    item, entries = save("", layers, CONFIG, ["example/full:1.0"], True)
    archive(out + "/save-old.tar", entries + [("manifest.json", json.dumps(item).encode())])
    item, entries = save("", layers, CONFIG, ["example/full:1.0"], False)
    archive(out + "/save-new.tar", entries + [("manifest.json", json.dumps(item).encode())])
    item2, entries2 = save("", [tiny], {"Cmd": ["/bin/echo", "tiny"], "Env": ["PATH=/bin"]}, ["tiny:latest"], False)
    archive(out + "/save-two.tar", entries + entries2 + [("manifest.json", json.dumps(item + item2).encode())])
    archive(out + "/save-no-manifest.tar", entries)
    # manifest.json first, the same layer twice, the second one as a symbolic link to the first.
    config = json.dumps({"architecture": ARCH, "os": "linux", "created": CREATED, "config": {"Env": ["PATH=/bin"]},
                         "rootfs": {"type": "layers", "diff_ids": [sha(tiny)] * 2}}).encode()
    manifest = json.dumps([{"Config": "c.json", "RepoTags": None, "Layers": ["1/layer.tar", "2/layer.tar"]}]).encode()
    archive(out + "/save-link.tar", [("manifest.json", manifest), ("c.json", config), ("1", None), ("1/layer.tar", tiny), ("2", None),
                                     ("2/layer.tar", "../1/layer.tar")])


main()
