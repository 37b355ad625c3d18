#!/usr/bin/env python3
"""lolcow.py BUSYBOX DIRECTORY NAME...: OCI layouts DIRECTORY/NAME.oci for the examples of the documentation.

Each has a static busybox, small scripts in place of fortune, cowsay and lolcat, and the entrypoint of the guide's lolcow; the name makes
images differ. Same bytes each time."""
import gzip, hashlib, io, json, os, sys, tarfile

busybox, directory, *names = sys.argv[1:]
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
TOOLS = "sh cat ls echo env id mkdir touch true false sed grep wc sleep ps printf cp rm chmod ln test hostname pwd uname which".split()
SCRIPTS = {
    "fortune": "#!/bin/sh\necho 'Repartee is something we think of twenty-four hours too late.'\n",
    "cowsay": "#!/bin/sh\ntext=$(cat)\necho \"< $text >\"\necho '        \\   ^__^'\necho '         \\  (oo)\\_______'\necho '            (__)\\       )\\/\\'\n",
    "lolcat": "#!/bin/sh\nexec cat\n",
    "figlet": "#!/bin/sh\necho \"# $*\"\n",
    "apt-get": "#!/bin/sh\nexit 0\n",
    "python3": "#!/bin/sh\necho 'Python 3.11.2'\n",
}
RELEASE = 'NAME="Ubuntu"\nVERSION="16.04.3 LTS (Xenial Xerus)"\nID=ubuntu\nPRETTY_NAME="Ubuntu 16.04.3 LTS"\n'


def layer(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content, mode in entries:
            info = tarfile.TarInfo(name)
            info.mode, info.mtime = mode, 1506018000
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            else:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return out.getvalue()


for name in names:
    blobs = os.path.join(directory, name + ".oci", "blobs", "sha256")
    os.makedirs(blobs)

    def put(data):
        digest = hashlib.sha256(data).hexdigest()
        with open(os.path.join(blobs, digest), "wb") as file:
            file.write(data)
        return {"digest": "sha256:" + digest, "size": len(data)}

    folders = [(d, None, 0o755) for d in "bin dev etc home opt proc root run sys tmp usr usr/games var var/tmp srv mnt".split()]
    base = layer(folders + [("bin/busybox", open(busybox, "rb").read(), 0o755), ("etc/os-release", RELEASE.encode(), 0o644),
                            ("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n", 0o644), ("etc/group", b"root:x:0:\n", 0o644)] +
                 [("bin/" + t, "busybox", 0o777) for t in TOOLS])
    games = layer([("usr/games/" + n, text.encode(), 0o755) for n, text in SCRIPTS.items()])
    own = layer([("etc/image-name", name.encode() + b"\n", 0o644)])
    layers = [base, games, own]
    config = {
        "created": "2017-09-21T18:37:47Z", "architecture": ARCH, "os": "linux",
        "config": {"Env": ["PATH=/usr/games:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"],
                   "Entrypoint": ["/bin/sh", "-c", "fortune | cowsay | lolcat"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(l).hexdigest() for l in layers]},
    }
    oci = "application/vnd.oci.image."
    manifest = {
        "schemaVersion": 2, "mediaType": oci + "manifest.v1+json",
        "config": {"mediaType": oci + "config.v1+json", **put(json.dumps(config).encode())},
        "layers": [{"mediaType": oci + "layer.v1.tar+gzip", **put(gzip.compress(l, 6, mtime=0))} for l in layers],
    }
    top = {"mediaType": oci + "manifest.v1+json", **put(json.dumps(manifest).encode()),
           "annotations": {"org.opencontainers.image.ref.name": "latest"}}
    root = os.path.join(directory, name + ".oci")
    json.dump({"schemaVersion": 2, "manifests": [top]}, open(os.path.join(root, "index.json"), "w"))
    json.dump({"imageLayoutVersion": "1.0.0"}, open(os.path.join(root, "oci-layout"), "w"))
