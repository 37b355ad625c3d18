#!/usr/bin/env python3
"""debian-tree.py DIRECTORY [PACKAGE...]

Makes a Debian root file system of this machine's own installed packages: the essential ones, apt, those named, and what
they depend on, as dpkg and apt find them in place. Needs no network. Root, on Debian or its like. Documentation is left out.
"""
import os, re, subprocess, sys

top, wanted = sys.argv[1], sys.argv[2:]
stanzas = {}
for text in open("/var/lib/dpkg/status", encoding="utf-8").read().split("\n\n"):
    fields = dict(re.findall(r"(?m)^([A-Za-z-]+): (.*(?:\n .*)*)", text))
    if fields.get("Status") == "install ok installed":
        stanzas.setdefault(fields["Package"], (fields, text))
provided = {}
for name, (fields, _) in stanzas.items():
    for p in fields.get("Provides", "").split(","):
        provided.setdefault(p.split("(")[0].strip(), name)

chosen, todo = set(), [n for n, (f, _) in stanzas.items() if f.get("Essential") == "yes"] + ["apt", "adduser"] + wanted
while todo:
    name = todo.pop()
    name = name if name in stanzas else provided.get(name)
    if not name or name in chosen:
        continue
    chosen.add(name)
    fields = stanzas[name][0]
    for group in (fields.get("Depends", "") + "," + fields.get("Pre-Depends", "")).split(","):
        names = [a.split("(")[0].split(":")[0].strip() for a in group.split("|")]
        todo += [next((n for n in names if n in stanzas or n in provided), "")]

def put(path, text, mode=0o644, gid=0):
    with open(top + path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chown(top + path, 0, gid)
    os.chmod(top + path, mode)

# Whatever a package owns and what stands for the alternatives; directories that are links stay links.
os.makedirs(top)
for d in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
    os.makedirs(top + "/usr/" + d)
paths = [p for p in ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32") if os.path.islink(p)]
info = []
for name in sorted(chosen):
    for prefix in (name, name + ":" + stanzas[name][0]["Architecture"]):
        info += [f"/var/lib/dpkg/info/{prefix}.{kind}" for kind in ("list", "md5sums", "conffiles", "postinst", "preinst", "prerm", "postrm", "triggers", "shlibs", "symbols", "templates", "config")
                 if os.path.exists(f"/var/lib/dpkg/info/{prefix}.{kind}")]
for path in info:
    if path.endswith(".list"):
        paths += [p for p in open(path).read().split("\n") if p not in ("", "/.")]
paths += ["/usr/bin/awk", "/etc/alternatives", "/etc/alternatives/awk", "/var/lib/dpkg/alternatives", "/var/lib/dpkg/alternatives/awk", "/var/lib/dpkg/info", "/var/lib/dpkg"]
paths += info + ["/var/lib/dpkg/info/format", "/var/lib/dpkg/diversions", "/var/lib/pam", "/etc/pam.d"] + ["/etc/pam.d/" + n for n in os.listdir("/etc/pam.d") if n.startswith("common-")]
skip = re.compile(r"/usr/share/(doc|man|locale|info)/.")
seen, real = set(), []
for p in paths:
    if p not in seen and not skip.match(p) and os.path.lexists(p):
        seen.add(p)
        real.append(p)
tar = subprocess.Popen(["tar", "-C", "/", "--no-recursion", "--null", "-T", "-", "-cf", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
extract = subprocess.Popen(["tar", "-C", top, "--keep-directory-symlink", "--xattrs", "--xattrs-include=*", "-xpf", "-"], stdin=tar.stdout)
tar.stdin.write(b"\0".join(b"." + os.fsencode(p) for p in real))
tar.stdin.close()
if tar.wait() or extract.wait():
    sys.exit("debian-tree: copying failed")

put("/var/lib/dpkg/status", "".join(stanzas[n][1].strip("\n") + "\n\n" for n in sorted(chosen)))
for d in ("/dev", "/proc", "/sys", "/root", "/tmp", "/run", "/var/tmp", "/var/lib/dpkg/updates", "/var/lib/dpkg/triggers", "/var/lib/apt/lists/partial", "/var/cache/apt/archives/partial", "/var/log/apt", "/etc/apt/sources.list.d"):
    os.makedirs(top + d, exist_ok=True)
for d in ("/tmp", "/var/tmp"):
    os.chmod(top + d, 0o1777)
for f in ("available", "statoverride", "lock", "triggers/File", "triggers/Unincorp"):
    put("/var/lib/dpkg/" + f, "")
passwd = open("/usr/share/base-passwd/passwd.master").read().replace(":*:", ":x:") + "_apt:x:42:65534::/nonexistent:/usr/sbin/nologin\n"
group = open("/usr/share/base-passwd/group.master").read().replace(":*:", ":x:")
shadow = next(int(l.split(":")[2]) for l in group.split("\n") if l.startswith("shadow:"))
put("/etc/passwd", passwd)
put("/etc/group", group)
put("/etc/shadow", "".join(l.split(":")[0] + ":*:20000:0:99999:7:::\n" for l in passwd.strip().split("\n")), 0o640, shadow)
put("/etc/gshadow", "".join(l.split(":")[0] + ":*::\n" for l in group.strip().split("\n")), 0o640, shadow)
put("/etc/apt/sources.list", "")
put("/etc/hostname", "localhost\n")
subprocess.run(["ldconfig", "-r", top], check=True)
print(f"{len(chosen)} packages, {len(real)} names")
