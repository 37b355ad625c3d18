"""Kills a hub at random moments while clients push, pull and tag, and sees what the next one has.

  hub_storm.py COMMAND... -- DATA IMAGE ROUNDS SEED TOKEN

COMMAND ends with "hub serve"; TOKEN is alice's. IMAGE is a SIF file; what is
pushed are copies with other bytes behind them. What a client got an answer for must be there after the kill; what it
got none for may be there or not, but whole; nothing else is there. The last line is "all is well".
"""
import hashlib, http.client, json, os, random, re, signal, subprocess, sys, threading, time, urllib.parse

split = sys.argv.index("--")
words, (data, image, rounds, seed, token) = sys.argv[1:split], sys.argv[split + 1 : split + 6]
base_bytes = open(image, "rb").read()
rng = random.Random(int(seed))
problems = []


def start():
    p = subprocess.Popen(words + ["--data", data, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
    line = p.stdout.readline()
    found = re.search(r"listens on http://127\.0\.0\.1:(\d+)", line)
    if not found:
        sys.exit(f"the hub does not start: {line}{p.stderr.read()}")
    return p, int(found.group(1))


class Gone(Exception):
    pass


def ask(port, method, path, body=None):
    try:
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        c.request(method, path, body, {"Authorization": "Bearer " + token})
        r = c.getresponse()
        return r.status, r.read()
    except (OSError, http.client.HTTPException) as e:
        raise Gone from e


def data_of(answer):
    if answer[0] not in (200, 201):
        raise AssertionError(f"{answer[0]} {answer[1][:300]!r}")
    return json.loads(answer[1])["data"]


def need(port, method, path, body):
    return data_of(ask(port, method, path, json.dumps(body)))


before = {}  # of each tag the hash that it had when the hub was started; none: it was not there
tries = {}  # of each tag what was tried since: [when it began, when it was acknowledged (None: not), hash]
bytes_of = {}
guard = threading.Lock()
counts = {"acknowledged": 0, "cut": 0, "pulled": 0}


def content(who, number):
    body = base_bytes + f"{who} {number} ".encode() * rng_size[number % len(rng_size)]
    digest = hashlib.sha256(body).hexdigest()
    with guard:
        bytes_of[digest] = len(body)
    return body, digest


rng_size = [1, 50, 5000, 60000]


def pusher(port, who, first, stop):
    number = first
    try:
        while not stop.is_set():
            number += 1
            name, tag = f"image{number % 5}", f"v{number % 3}"
            # Two clients push to one container: the same image at once, and different ones to one tag.
            key = (name, tag)
            body, digest = content("both" if number % 2 else who, number)
            entity = need(port, "POST", "/v1/entities", {"name": "alice"})["id"]
            collection = need(port, "POST", "/v1/collections", {"name": "default", "entity": entity})["id"]
            container = need(port, "POST", "/v1/containers", {"name": name, "collection": collection})["id"]
            i = need(port, "POST", "/v1/images", {"hash": "sha256." + digest, "container": container})
            if not i["uploaded"]:
                if number % 3 == 0:
                    status, text = ask(port, "POST", "/v1/imagefile/" + i["id"], body)
                else:
                    status, text = ask(port, "POST", f"/v2/imagefile/{i['id']}/_multipart", json.dumps({"filesize": len(body)}))
                    if status == 200:
                        upload = json.loads(text)["data"]["uploadID"]
                        url = need(port, "PUT", f"/v2/imagefile/{i['id']}/_multipart", {"uploadID": upload, "partSize": len(body), "partNumber": 1})["presignedURL"]
                        status, text = ask(port, "PUT", urllib.parse.urlparse(url).path, body)
                        if status == 200:
                            status, text = ask(port, "PUT", f"/v2/imagefile/{i['id']}/_multipart_complete", json.dumps({"uploadID": upload, "completedParts": []}))
                # 409: the other one has uploaded it meanwhile. 404: it was deleted meanwhile.
                if status not in (200, 409, 404):
                    problems.append(f"an upload: {status} {text[:200]!r}")
            this = [time.monotonic(), None, digest]
            with guard:
                tries.setdefault(key, []).append(this)
            status, text = ask(port, "POST", "/v2/tags/" + container, json.dumps({"Arch": "", "Tag": tag, "ImageID": i["id"]}))
            if status == 200:
                this[1] = time.monotonic()
                counts["acknowledged"] += 1
            elif status not in (404, 409):
                problems.append(f"a tag: {status} {text[:200]!r}")
    except Gone:
        counts["cut"] += 1
    except AssertionError as e:
        problems.append(f"a push: {e}")


def puller(port, stop):
    try:
        while not stop.is_set():
            name, tag = f"image{random.randrange(5)}", f"v{random.randrange(3)}"
            status, body = ask(port, "GET", f"/v1/imagefile/alice/default/{name}:{tag}")
            if status == 200 and hashlib.sha256(body).hexdigest() not in bytes_of:
                problems.append(f"{name}:{tag} is no image that was ever pushed, or not whole: {len(body)} bytes")
            counts["pulled"] += status == 200
    except Gone:
        pass


def possible(key):
    """The hashes that a tag may have: of two tries, one after the other, the first counts no more."""
    all = tries.get(key, [])
    begun = [t[0] for t in all if t[1] is not None]
    out = {t[2] for t in all if t[1] is None or not any(b > t[1] for b in begun)}
    return out if begun else out | {before.get(key)}


def look(port):
    for key in set(before) | set(tries):
        status, body = ask(port, "GET", f"/v1/imagefile/alice/default/{key[0]}:{key[1]}")
        digest = hashlib.sha256(body).hexdigest() if status == 200 else None
        if digest not in possible(key):
            problems.append(f"{key[0]}:{key[1]} is {digest} ({status}, {len(body)} bytes), and not one of {possible(key)}")
        before[key] = digest
    tries.clear()
    for entry in need(port, "GET", "/api/images?entity=alice", None):
        for i in entry["images"]:
            status, body = ask(port, "GET", f"/v1/imagefile/alice/default/{i['containerName']}:{i['hash']}")
            if status != 200 or "sha256." + hashlib.sha256(body).hexdigest() != i["hash"]:
                problems.append(f"{i['hash']} is listed, and not whole")


number = 0
for round in range(int(rounds)):
    hub, port = start()
    if round:
        look(port)
    stop = threading.Event()
    threads = [threading.Thread(target=pusher, args=(port, who, number, stop)) for who in ("ann", "bob", "carl")]
    threads += [threading.Thread(target=puller, args=(port, stop)) for _ in range(2)]
    collector = subprocess.Popen(words[:-1] + ["gc", "--data", data], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) if round % 2 else None
    for t in threads:
        t.start()
    time.sleep(rng.uniform(0.02, 0.8))
    hub.send_signal(signal.SIGKILL)
    hub.wait()
    stop.set()
    for t in threads:
        t.join()
    if collector and collector.wait() != 0:
        problems.append(f"gc: {collector.stderr.read().decode()}")
    number += 1000
    check = subprocess.run(words[:-1] + ["check", "--data", data], capture_output=True, text=True)
    if check.returncode != 0:
        problems.append(f"round {round}: hub check: {check.stderr}")
    if problems:
        print("\n".join(problems))
        sys.exit(1)
hub, port = start()
look(port)
hub.terminate()
hub.wait()
subprocess.run(words[:-1] + ["gc", "--data", data], check=True, stdout=subprocess.DEVNULL)
print(json.dumps(counts))
if problems:
    print("\n".join(problems))
    sys.exit(1)
print("all is well")
