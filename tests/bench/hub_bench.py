"""The section "hub" of scripts/bench: a hub under load on the loopback interface, beside nginx with the same files."""
import asyncio, base64, hashlib, http.client, json, os, re, select, shutil, socket, sqlite3, statistics, subprocess, time

MB = 1000 * 1000
SIZE, IMAGES, DOWNLOADS, UPLOADS, VIEWERS, FOUND = 100 * MB, 10, 200, 50, 500, 1_000_000


class Hub:
    def __init__(self, data, words=(), env=None):
        begin = time.monotonic()
        self.process = subprocess.Popen([*words, "singularity", "hub", "serve", "--data", data, "--listen", "127.0.0.1:0"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=dict(os.environ, **(env or {})))
        line = self.process.stdout.readline()
        self.seconds = time.monotonic() - begin
        self.port = int(re.search(r":(\d+)$", line.strip()).group(1))

    def peak(self):  # MiB
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1)) / 1024

    def stop(self):
        self.process.terminate()
        self.process.wait()


def words_out(*words):
    return subprocess.run(["singularity", "hub", *words], check=True, capture_output=True, text=True, input="a long password\n").stdout.strip()


def call(port, token, method, path, body=None):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    c.request(method, path, json.dumps(body) if body is not None else None, {"Authorization": "Bearer " + token})
    r = c.getresponse()
    text = r.read()
    if r.status not in (200, 201):
        raise RuntimeError(f"{method} {path}: {r.status} {text[:200]!r}")
    return json.loads(text)["data"] if text else None


def awaited(port, token, name, digest):
    """An image that waits for its bytes: its id and its container's."""
    e = call(port, token, "POST", "/v1/entities", {"name": "alice"})["id"]
    c = call(port, token, "POST", "/v1/collections", {"name": "default", "entity": e})["id"]
    n = call(port, token, "POST", "/v1/containers", {"name": name, "collection": c})["id"]
    return call(port, token, "POST", "/v1/images", {"hash": "sha256." + digest, "container": n})["id"], n


async def put(port, head, pieces):
    """Sends a request whose body is these buffers; the status of the answer."""
    loop = asyncio.get_running_loop()
    s = socket.socket()
    s.setblocking(False)
    await loop.sock_connect(s, ("127.0.0.1", port))
    await loop.sock_sendall(s, head)
    for piece in pieces:
        await loop.sock_sendall(s, piece)
    answer = await loop.sock_recv(s, 4096)
    s.close()
    return int(answer.split(b" ")[1])


def head(token, method, path, size):
    return f"{method} {path} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nContent-Length: {size}\r\n\r\n".encode()


class Uploads:
    """The same megabytes again and again with another end: no file is read for them."""

    def __init__(self, sif):
        self.body = sif + os.urandom(SIZE - len(sif) - 16)
        self.hash = hashlib.sha256(self.body)

    def end(self, number):
        h = self.hash.copy()
        end = b"%16d" % number
        h.update(end)
        return end, h.hexdigest()

    def prepare(self, port, token, numbers):
        return [(awaited(port, token, f"image{n}", self.end(n)[1]), n) for n in numbers]

    async def run(self, port, token, prepared):
        body = memoryview(self.body)
        return await asyncio.gather(*(put(port, head(token, "POST", f"/v1/imagefile/{i}", SIZE), [body, self.end(n)[0]]) for (i, _), n in prepared))


def curl(urls, log):
    with open(log, "w") as f:
        for url in urls:
            f.write(f'url = "{url}"\noutput = "/dev/null"\n')
    return ["curl", "--silent", "--show-error", "--no-progress-meter", "--fail", "--parallel", "--parallel-max", str(len(urls)), "--parallel-immediate", "--config", log]


def serve_million(db_file, count):
    """Rows as the hub writes them, past its own interface."""
    db = sqlite3.connect(db_file)
    words = ["lolcow", "tensorflow", "pytorch", "gromacs", "openfoam", "ubuntu", "alpine", "samtools", "bwa", "blast", "quantum", "lammps", "julia", "rstudio", "jupyter"]
    for setting in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE", "cache_size = -500000"):
        db.execute("PRAGMA " + setting)
    db.execute("BEGIN")
    for n in range(1000):
        db.execute("INSERT OR IGNORE INTO entities VALUES(?, ?, '', 0)", (f"{n:024x}", f"user{n}"))
        db.execute("INSERT INTO collections VALUES(?, ?, 'default', '', 0, 0)", (f"{n:024x}", f"{n:024x}"))

    def rows():
        for n in range(count):
            yield n, f"{n:024x}", f"{n % 1000:024x}", f"{words[n % len(words)]}-{n}", f"user{n % 1000}/default/{words[n % len(words)]}-{n}\nan image with {words[(n // 7) % len(words)]} of {n}"

    db.executemany("INSERT INTO containers(rowid, id, collection, name, description, private, created) VALUES(?, ?, ?, ?, 'an image', 0, 0)",
                   ((n + 1000, i, c, name) for n, i, c, name, _ in rows()))
    db.executemany("INSERT INTO images(id, container, hash, description, uploaded, size, arch, created) VALUES(?, ?, ?, '', 1, 1, 'amd64', 0)",
                   ((i, i, f"sha256.{n:064x}") for n, i, *_ in rows()))
    db.executemany("INSERT INTO tags VALUES(?, 'amd64', 'latest', ?, 0)", ((i, i) for _, i, *_ in rows()))
    db.executemany("INSERT INTO search(rowid, container, text) VALUES(?, ?, ?)", ((n + 1000, i, text) for n, i, _, _, text in rows()))
    db.commit()
    db.close()


def searches(bench, verdict, say, rounds):
    data = bench + "/million"
    words_out("user", "add", "alice", "--data", data)
    say(f"hub: a library of {FOUND} images")
    serve_million(data + "/hub.db", FOUND)
    starts = []
    for _ in range(max(rounds, 5)):
        hub = Hub(data)
        starts.append(hub.seconds)
        hub.stop()
    verdict("hub", f"seconds to start, {FOUND} images", statistics.median(starts), 0.3)
    hub = Hub(data)
    worst = 0
    for text in ("lolcow-123450", "gromacs", "an image with julia of 77", "default", "no such thing", "user77/default/bwa", "12345", "user77/default/nothing-123", "ser77/default/bwa-7", "default/bwa-1234", "default/nothing-1234", "/default/lolcow-999"):
        times = []
        for _ in range(max(rounds, 5)):
            begin = time.monotonic()
            get(hub.port, "/v1/search?value=" + text.replace(" ", "%20"))
            times.append((time.monotonic() - begin) * 1000)
        say(f"hub: search '{text}': {statistics.median(times):.1f} ms")
        worst = max(worst, statistics.median(times))
    verdict("hub", f"milliseconds of the slowest of 12 searches, {FOUND} images", worst, 50)
    hub.stop()
    shutil.rmtree(data)


def get(port, path):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    c.request("GET", path)
    r = c.getresponse()
    body = r.read()
    if r.status != 200:
        raise RuntimeError(f"{path}: {r.status}")
    return body


def nginx(bench, root):
    conf = bench + "/nginx"
    os.makedirs(conf, exist_ok=True)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    with open(conf + "/conf", "w") as f:
        f.write(f"daemon off; user root; worker_processes 2; pid {conf}/pid; error_log {conf}/error;\nevents {{ worker_connections 2048; }}\n"
                f"http {{ access_log off; sendfile on; tcp_nopush on; default_type application/octet-stream;\n"
                f"  client_body_temp_path {conf}; proxy_temp_path {conf}; fastcgi_temp_path {conf}; uwsgi_temp_path {conf}; scgi_temp_path {conf};\n"
                f"  server {{ listen 127.0.0.1:{port} backlog=1024; root {root}; }} }}\n")
    process = subprocess.Popen(["nginx", "-e", conf + "/error", "-c", conf + "/conf"])
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return process, port
        except OSError:
            if process.poll() is not None:
                raise RuntimeError("nginx does not start")
            time.sleep(0.02)


def transfers(bench, verdict, say, rounds, sif):
    data = bench + "/hub"
    words_out("user", "add", "alice", "--data", data)
    token = words_out("user", "token", "alice", "--data", data)
    hub = Hub(data)
    say(f"hub: {IMAGES} images of {SIZE // MB} MB")
    load = Uploads(sif)
    prepared = load.prepare(hub.port, token, range(IMAGES))
    if set(asyncio.run(load.run(hub.port, token, prepared))) != {200}:
        raise RuntimeError("an upload was refused")
    names = []
    for (i, container), n in prepared:
        call(hub.port, token, "POST", "/v2/tags/" + container, {"Arch": "", "Tag": "v1", "ImageID": i})
        digest = load.end(n)[1]
        names.append((f"/v1/imagefile/alice/default/image{n}:v1", f"/{digest[:2]}/{digest}"))
    ours = [f"http://127.0.0.1:{hub.port}{names[n % IMAGES][0]}" for n in range(DOWNLOADS)]
    if shutil.which("nginx"):
        process, port = nginx(bench, data + "/blobs")
        theirs = [f"http://127.0.0.1:{port}{names[n % IMAGES][1]}" for n in range(DOWNLOADS)]
        times = {"ours": [], "nginx": []}
        for r in range(rounds + 1):  # the first fills the page cache
            for who, urls in (("nginx", theirs), ("ours", ours)):
                begin = time.monotonic()
                subprocess.run(curl(urls, bench + "/urls"), check=True)
                if r:
                    times[who].append(time.monotonic() - begin)
        process.terminate()
        process.wait()
        rate = {who: DOWNLOADS * SIZE / MB / statistics.median(t) for who, t in times.items()}
        say(f"hub: {DOWNLOADS} downloads at once: {rate['ours']:.0f} MB/s, nginx {rate['nginx']:.0f} MB/s")
        verdict("hub", f"{DOWNLOADS} downloads at once, throughput beside nginx", rate["ours"] / rate["nginx"], 0.7, more_is_better=True)
    say(f"hub: {DOWNLOADS} downloads and {UPLOADS} uploads at once")
    prepared = load.prepare(hub.port, token, range(1000, 1000 + UPLOADS))
    clients = subprocess.Popen(curl(ours, bench + "/urls"))
    statuses = asyncio.run(load.run(hub.port, token, prepared))
    failures = sum(s != 200 for s in statuses) + (clients.wait() != 0)
    verdict("hub", f"failures of {DOWNLOADS} downloads and {UPLOADS} uploads of {SIZE // MB} MB at once", failures, 0)
    verdict("hub", "peak memory with them, MiB", hub.peak(), 200)
    hub.stop()
    hub = Hub(data)
    sparse(verdict, say, hub, token, sif)
    hub.stop()
    shutil.rmtree(data)


def sparse(verdict, say, hub, token, sif):
    total, zeros = 20_000_000_000, bytes(4 << 20)
    say("hub: a sparse image of 20 GB")
    h = hashlib.sha256(sif)
    left = total - len(sif)
    while left > 0:
        h.update(zeros if left >= len(zeros) else zeros[:left])
        left -= len(zeros)
    (i, _) = awaited(hub.port, token, "sparse", h.hexdigest())
    begun = call(hub.port, token, "POST", f"/v2/imagefile/{i}/_multipart", {"filesize": total})
    for part in range(1, begun["totalParts"] + 1):
        size = min(begun["partSize"], total - (part - 1) * begun["partSize"])
        url = call(hub.port, token, "PUT", f"/v2/imagefile/{i}/_multipart", {"uploadID": begun["uploadID"], "partSize": size, "partNumber": part})["presignedURL"]
        first = sif if part == 1 else b""
        left = size - len(first)
        pieces = [first] + [zeros] * (left // len(zeros)) + [zeros[: left % len(zeros)]]
        status = asyncio.run(put(hub.port, head(token, "PUT", re.sub(r"^https?://[^/]+", "", url), size), [p for p in pieces if p]))
        if status != 200:
            raise RuntimeError(f"part {part}: {status}")
    call(hub.port, token, "PUT", f"/v2/imagefile/{i}/_multipart_complete", {"uploadID": begun["uploadID"], "completedParts": []})
    verdict("hub", "peak memory with a sparse upload of 20 GB, MiB", hub.peak(), 200)


def viewers(bench, verdict, say, uid):
    """One log and many viewers. The build is a row of the database that a stand-in for Slurm says is running."""
    home, tools = bench + "/viewers", bench + "/viewers/tools"
    os.makedirs(tools)
    os.makedirs(home + "/.singularity")
    for name in ("squeue", "sbatch", "scancel", "sinfo"):
        with open(f"{tools}/{name}", "w") as f:
            f.write("#!/bin/sh\necho RUNNING\n")
        os.chmod(f"{tools}/{name}", 0o755)
    shutil.copy("/proc/self/exe", home + "/image.sif")
    with open(home + "/.singularity/config.yaml", "w") as f:
        f.write(f"hub:\n  builder: {{executor: slurm, image: {home}/image.sif, directory: {home}/builds}}\n")
    os.makedirs(home + "/builds")
    subprocess.run(["chown", "-R", f"{uid}:{uid}", home], check=True)
    words = ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups"]
    env = {"HOME": home, "PATH": tools + ":" + os.environ["PATH"]}
    run = lambda *w: subprocess.run([*words, "singularity", "hub", *w, "--data", home + "/data"], check=True, capture_output=True, text=True, input="a long password\n",
                                    env=dict(os.environ, **env)).stdout.strip()
    run("user", "add", "alice")
    token = run("user", "token", "alice")
    build = "0123456789abcdef01234567"
    hub = Hub(home + "/data", words, env)  # it makes the tables
    hub.stop()
    db = sqlite3.connect(home + "/data/hub.db")
    db.execute("INSERT INTO builds(id, user, state, run, definition, directory, context, reference, temporary, base, submitted, started) VALUES(?, 1, 'running', '1', '', '', '', 'a/b/c:d', 0, '', ?, ?)",
               (build, int(time.time()), int(time.time())))
    db.commit()
    db.close()
    os.makedirs(f"{home}/builds/{build}")
    line = b"a line of the log of a build, as long as they are on the average, and a little longer\n"
    log = open(f"{home}/builds/{build}/log", "ab", buffering=0)
    log.write(line * 1000)
    subprocess.run(["chown", "-R", f"{uid}:{uid}", home], check=True)
    hub = Hub(home + "/data", words, env)
    say(f"hub: {VIEWERS} viewers of one log")
    poll, got = select.epoll(), {}
    for _ in range(VIEWERS):
        s = socket.create_connection(("127.0.0.1", hub.port))
        key = base64.b64encode(os.urandom(16)).decode()
        s.sendall(f"GET /v1/build-ws/{build} HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nAuthorization: Bearer {token}\r\n"
                  f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
        s.setblocking(False)
        poll.register(s, select.EPOLLIN)
        got[s.fileno()] = [s, 0]
    total, behind = len(line) * 1000, 0.0
    for second in range(20):  # a build that writes 2000 lines a second
        log.write(line * 500)
        total += len(line) * 500
        begin = time.monotonic()
        while min(n for _, n in got.values()) < total:
            for fd, _ in poll.poll(1):
                got[fd][1] += len(got[fd][0].recv(1 << 20))
            if time.monotonic() - begin > 60:
                break
        behind = max(behind, time.monotonic() - begin)
    complete = sum(n >= total for _, n in got.values())
    verdict("hub", f"viewers of {VIEWERS} that have the whole log of {total // 1000} kB", complete, VIEWERS, more_is_better=True)
    verdict("hub", "seconds until the last viewer has a new line", behind, 2)
    verdict("hub", "peak memory with them, MiB", hub.peak(), 200)
    hub.stop()
    shutil.rmtree(home)


def run(bench, verdict, say, rounds, uid):
    with open(bench + "/empty.def", "w") as f:
        f.write("Bootstrap: scratch\n\n%setup\n    mkdir -p $SINGULARITY_ROOTFS/etc\n    echo bench >$SINGULARITY_ROOTFS/etc/name\n")
    subprocess.run(["singularity", "build", bench + "/small.sif", bench + "/empty.def"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(bench + "/small.sif", "rb") as f:
        sif = f.read()
    searches(bench, verdict, say, rounds)
    transfers(bench, verdict, say, rounds, sif)
    viewers(bench, verdict, say, uid)
