#!/usr/bin/env python3
"""tree.py [--no-owner] [--skip PATH]... DIRECTORY

Lists a directory tree so that two listings can be compared: one line for each name, sorted by bytes, with type,
mode, owner, time, size, content's SHA-256, link target, device numbers, extended attributes and, for a file of
several names, the first of them. --skip leaves out a path (relative, without a leading slash) and what is below it.
Names are shown as Python's ascii() does.
"""
import hashlib, os, stat, sys

args, skip, owner = sys.argv[1:], set(), True
while args[:1] and args[0].startswith("--"):
    option = args.pop(0)
    if option == "--no-owner":
        owner = False
    elif option == "--skip":
        skip.add(os.fsencode(args.pop(0)))
    else:
        sys.exit(__doc__)
root = os.fsencode(args[0])
# Whatever the security module of the machine adds is no part of an image.
DROP = ("security.selinux", "system.posix_acl_access", "system.posix_acl_default")
first = {}


def describe(path, name):
    s = os.lstat(path)
    kind = stat.S_IFMT(s.st_mode)
    out = [ascii(os.fsdecode(name)) if name else ".",
           {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l", stat.S_IFCHR: "c", stat.S_IFBLK: "b",
            stat.S_IFIFO: "p", stat.S_IFSOCK: "s"}[kind]]
    if kind != stat.S_IFLNK:
        out.append("%04o" % stat.S_IMODE(s.st_mode))
    if owner:
        out.append("%d:%d" % (s.st_uid, s.st_gid))
    out.append("t=%d" % s.st_mtime)
    if kind == stat.S_IFREG:
        h = hashlib.sha256()
        try:
            with open(path, "rb") as f:
                for block in iter(lambda: f.read(1 << 20), b""):
                    h.update(block)
            out.append("%d %s" % (s.st_size, h.hexdigest()[:24]))
        except PermissionError:
            out.append("%d unreadable" % s.st_size)
    elif kind == stat.S_IFLNK:
        out.append("-> " + ascii(os.fsdecode(os.readlink(path))))
    elif kind in (stat.S_IFCHR, stat.S_IFBLK):
        out.append("%d,%d" % (os.major(s.st_rdev), os.minor(s.st_rdev)))
    for x in sorted(os.listxattr(path, follow_symlinks=False)):
        if x not in DROP:
            out.append(x + "=" + os.getxattr(path, x, follow_symlinks=False).hex())
    if s.st_nlink > 1 and kind != stat.S_IFDIR:
        other = first.setdefault((s.st_dev, s.st_ino), name)
        out.append("links=%d first=%s" % (s.st_nlink, ascii(os.fsdecode(other))))
    print(" ".join(out))


def walk(path, name):
    describe(path, name)
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        return
    try:
        entries = sorted(os.listdir(path))
    except PermissionError:
        print("  unreadable")
        return
    for e in entries:
        below = name + b"/" + e if name else e
        if below not in skip:
            walk(path + b"/" + e, below)


walk(root, b"")
