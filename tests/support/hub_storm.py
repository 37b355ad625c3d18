"""Kills a hub at random moments while clients push, pull and tag, and sees what the next one has.

  hub_storm.py COMMAND... -- DATA IMAGE ROUNDS SEED TOKEN [BUILDS UID]

COMMAND ends with "hub serve"; TOKEN is alice's. IMAGE is a SIF file; what is
pushed are copies with other bytes behind them. What a client got an answer for must be there after the kill; what it
got none for may be there or not, but whole; nothing else is there. With BUILDS, the directory of its builder, and the
user of the hub, builds are under way as well: each that was acknowledged is known and has failed, goes on or is done,
and nothing is left of those that have ended but their logs: no file and no process. The last line is "all is well".
"""
import base64, hashlib, http.client, json, os, random, re, signal, subprocess, sys, threading, time, urllib.parse

split = sys.argv.index("--")
words, (data, image, rounds, seed, token) = sys.argv[1:split], sys.argv[split + 1 : split + 6]
builds_directory, uid = (sys.argv[split + 6 :] + [None, None])[:2]
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


def within(seconds, condition):
    """Whether the condition holds, at the latest then."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


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


# ---- Builds ----------------------------------------------------------------------------------------

builds = {}  # by its id, what was last known of a build that was acknowledged: [state, checksum, reference]
ENDED = "the hub was ended while the build ran"


def definition(number):
    return f"""Bootstrap: scratch

%setup
    echo "begin of {number}"
    mkdir -p "$SINGULARITY_ROOTFS/etc"
    head -c {number * 70001 % 400000} /dev/urandom >"$SINGULARITY_ROOTFS/etc/noise"
    sleep 0.{number % 7}
    echo {number} >"$SINGULARITY_ROOTFS/etc/number"
"""


def builder(port, first, stop):
    number = first
    try:
        while not stop.is_set():
            number += 1
            reference = f"library://alice/default/built{number % 3}:v1" if number % 2 else ""
            body = {"definitionRaw": base64.b64encode(definition(number).encode()).decode(), "libraryRef": reference}
            info = need(port, "POST", "/v1/build", body)
            with guard:
                builds[info["id"]] = ["queued", "", reference]
            while not stop.is_set() and sum(not done(b) for b in builds.values()) > 2:
                look_at_builds(port)
                time.sleep(0.1)
    except Gone:
        pass
    except AssertionError as e:
        problems.append(f"a build: {e}")


def done(build):
    return build[0] in ("succeeded", "failed", "cancelled")


def look_at_builds(port):
    for id, known in list(builds.items()):
        info = need(port, "GET", "/v1/build/" + id, None)
        if done(known) and (info["state"], info["imageChecksum"]) != (known[0], known[1]):
            problems.append(f"build {id} was {known} and is {info}")
        if not done(known) and info["state"] == "failed" and info["message"] != ENDED:
            problems.append(f"build {id} failed: {info['message']}")
        known[0], known[1] = info["state"], info["imageChecksum"]


def of_user(before):
    """Processes of the hub's user that began before that one."""
    found = []
    for p in os.listdir("/proc"):
        if not p.isdigit():
            continue
        try:
            if os.stat("/proc/" + p).st_uid != int(uid):
                continue
            with open(f"/proc/{p}/stat") as f:
                fields = f.read().rpartition(")")[2].split()
            if fields[0] != "Z" and int(fields[19]) < before:
                with open(f"/proc/{p}/cmdline") as f:
                    found.append(f"{p} {f.read()[:200]!r}")
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def look_for_leftovers(hub):
    with open(f"/proc/{hub.pid}/stat") as f:
        began = int(f.read().rpartition(")")[2].split()[19])
    if not within(20, lambda: not of_user(began)):
        problems.append(f"processes of builds are left: {of_user(began)}")


def look_at_results(port):
    """All builds are waited for, and then nothing is left of them but results and logs."""
    if not within(300, lambda: look_at_builds(port) or all(done(b) for b in builds.values())):
        problems.append(f"builds do not end: {builds}")
    for id, (state, checksum, _) in builds.items():
        log = ask(port, "GET", f"/api/builds/{id}/log")[1].decode()
        if state == "succeeded":
            status, body = ask(port, "GET", f"/api/builds/{id}/image")
            if status == 200 and "sha256." + hashlib.sha256(body).hexdigest() != checksum:
                problems.append(f"the image of build {id} is not whole")
            if "begin of " not in log:
                problems.append(f"the log of build {id} is not whole: {log!r}")
        elif "ERROR:   The build failed: " + ENDED not in log:
            problems.append(f"the log of build {id}, which {state}, does not say why: {log!r}")
    # A build that nobody was told of may be known as well, and is done or goes on.
    def left():
        return [(name, inside) for name in os.listdir(builds_directory) for inside in [os.listdir(f"{builds_directory}/{name}")]
                if set(inside) - {"log"} or (name not in builds and ask(port, "GET", "/v1/build/" + name)[0] != 200)]

    if not within(60, lambda: not left()):
        problems.append(f"files of builds are left: {left()[:20]}")


number = 0
for round in range(int(rounds)):
    hub, port = start()
    if round:
        look(port)
    if round and uid:
        look_for_leftovers(hub)
        look_at_builds(port)
    stop = threading.Event()
    threads = [threading.Thread(target=pusher, args=(port, who, number, stop)) for who in ("ann", "bob", "carl")]
    threads += [threading.Thread(target=puller, args=(port, stop)) for _ in range(2)]
    threads += [threading.Thread(target=builder, args=(port, number, stop))] if uid else []
    collector = subprocess.Popen(words[:-1] + ["gc", "--data", data], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) if round % 2 else None
    for t in threads:
        t.start()
    time.sleep(rng.uniform(0.02, 3 if uid else 0.8))
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
if uid:
    look_for_leftovers(hub)
    look_at_results(port)
    counts["builds"] = {state: sum(b[0] == state for b in builds.values()) for state in ("succeeded", "failed")}
hub.terminate()
hub.wait()
if uid and not within(20, lambda: not of_user(1 << 62)):
    problems.append(f"processes are left: {of_user(1 << 62)}")
subprocess.run(words[:-1] + ["gc", "--data", data], check=True, stdout=subprocess.DEVNULL)
print(json.dumps(counts))
if problems:
    print("\n".join(problems))
    sys.exit(1)
print("all is well")
