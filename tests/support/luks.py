#!/usr/bin/env python3
"""luks.py IN OUT PASSPHRASE-FILE [KDF] [SECTOR] [broken-first]: a LUKS2 volume as `cryptsetup luksFormat --type luks2` makes it, with
the bytes of IN as its data. KDF: argon2id (default), argon2i, pbkdf2. With "broken-first" only the second copy of the header is
whole. Needs no kernel: ciphers and Argon2 of libcrypto and libargon2.

luks.py --into VOLUME VOLUME-KEY-FILE IN: the bytes of IN as the data of a volume that cryptsetup has formatted, as the kernel's
device mapper would write them. VOLUME-KEY-FILE is what `cryptsetup luksDump --dump-volume-key --volume-key-file` writes."""
import base64, ctypes, hashlib, json, os, struct, sys

crypto, argon2 = ctypes.CDLL("libcrypto.so.3"), ctypes.CDLL("libargon2.so.1")
for name in ("EVP_CIPHER_CTX_new", "EVP_aes_256_xts"):
    getattr(crypto, name).restype = ctypes.c_void_p
SLOT, STRIPES, KEY, DATA = 32768, 4000, 64, 1 << 20  # as cryptsetup's, but for the room left for more slots


def xts(key, data, sector):
    """dm-crypt's aes-xts-plain64: each sector by itself, its number in units of 512 bytes."""
    ctx = ctypes.c_void_p(crypto.EVP_CIPHER_CTX_new())
    out, n = ctypes.create_string_buffer(sector), ctypes.c_int()
    result = bytearray()
    for at in range(0, len(data), sector):
        tweak = struct.pack("<QQ", at // 512, 0)
        assert crypto.EVP_EncryptInit_ex(ctx, ctypes.c_void_p(crypto.EVP_aes_256_xts()), None, key, tweak) == 1
        assert crypto.EVP_EncryptUpdate(ctx, out, ctypes.byref(n), bytes(data[at : at + sector]), sector) == 1 and n.value == sector
        result += out.raw
    return bytes(result)


def diffuse(block):
    return b"".join(hashlib.sha256(struct.pack(">I", i) + block[at : at + 32]).digest() for i, at in enumerate(range(0, len(block), 32)))


def xor(a, b):
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).to_bytes(len(a), "big")


def split(key):
    out, last = [os.urandom(len(key)) for _ in range(STRIPES - 1)], bytes(len(key))
    for stripe in out:
        last = diffuse(xor(last, stripe))
    return b"".join(out) + xor(last, key)


def header(text, at, seed):
    size = 16384
    magic = b"LUKS\xba\xbe" if at == 0 else b"SKUL\xba\xbe"
    head = magic + struct.pack(">HQQ48s32s64s40s48sQ", 2, size, 3, b"", b"sha256", seed, b"5ba5c1bd-5d1f-4b3c-9d6e-6c7c0a1f2b3d", b"", at)
    head = head.ljust(4096, b"\0")
    area = text.encode().ljust(size - 4096, b"\0")
    return head[:448] + hashlib.sha256(head + area).digest().ljust(64, b"\0") + head[512:] + area


def into(volume, key_file, source):
    with open(volume, "r+b") as f:
        f.seek(4096)
        segment = json.loads(f.read(12288).split(b"\0")[0])["segments"]["0"]
        assert segment["encryption"] == "aes-xts-plain64" and segment["iv_tweak"] == "0", segment
        sector, at = segment["sector_size"], int(segment["offset"])
        data = open(source, "rb").read()
        f.truncate(at)
        f.seek(at)
        f.write(xts(open(key_file, "rb").read(), data.ljust((len(data) + sector - 1) // sector * sector, b"\0"), sector))


def main():
    if sys.argv[1] == "--into":
        return into(*sys.argv[2:5])
    source, target, secret = sys.argv[1:4]
    kdf = sys.argv[4] if len(sys.argv) > 4 else "argon2id"
    sector = int(sys.argv[5]) if len(sys.argv) > 5 else 512
    passphrase = open(secret, "rb").read()
    volume_key, salt, digest_salt = os.urandom(KEY), os.urandom(32), os.urandom(32)
    b64 = lambda b: base64.b64encode(b).decode()
    if kdf == "pbkdf2":
        slot_key = hashlib.pbkdf2_hmac("sha256", passphrase, salt, 1000, KEY)
        described = {"type": kdf, "hash": "sha256", "iterations": 1000, "salt": b64(salt)}
    else:
        out = ctypes.create_string_buffer(KEY)
        f = argon2.argon2id_hash_raw if kdf == "argon2id" else argon2.argon2i_hash_raw
        assert f(4, 1024, 2, passphrase, ctypes.c_size_t(len(passphrase)), salt, ctypes.c_size_t(len(salt)), out, ctypes.c_size_t(KEY)) == 0
        slot_key, described = out.raw, {"type": kdf, "time": 4, "memory": 1024, "cpus": 2, "salt": b64(salt)}
    data = open(source, "rb").read()
    data = data.ljust((len(data) + sector - 1) // sector * sector, b"\0")
    text = json.dumps({
        "keyslots": {"0": {"type": "luks2", "key_size": KEY, "af": {"type": "luks1", "stripes": STRIPES, "hash": "sha256"},
                           "area": {"type": "raw", "offset": str(SLOT), "size": "258048", "encryption": "aes-xts-plain64", "key_size": KEY}, "kdf": described}},
        "tokens": {},
        "segments": {"0": {"type": "crypt", "offset": str(DATA), "size": "dynamic", "iv_tweak": "0", "encryption": "aes-xts-plain64", "sector_size": sector}},
        "digests": {"0": {"type": "pbkdf2", "keyslots": ["0"], "segments": ["0"], "hash": "sha256", "iterations": 1000, "salt": b64(digest_salt),
                          "digest": b64(hashlib.pbkdf2_hmac("sha256", volume_key, digest_salt, 1000, 32))}},
        "config": {"json_size": "12288", "keyslots_size": str(DATA - SLOT)}}, separators=(",", ":"))
    with open(target, "wb") as f:
        first = header(text, 0, os.urandom(64))
        f.write(first[:5000] + b"?" + first[5001:] if "broken-first" in sys.argv else first)
        f.write(header(text, 16384, os.urandom(64)))
        f.seek(SLOT)
        f.write(xts(slot_key, split(volume_key), 512))
        f.seek(DATA)
        f.write(xts(volume_key, data, sector))


main()
