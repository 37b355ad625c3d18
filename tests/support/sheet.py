#!/usr/bin/env python3
"""sheet.py ROWS: holds what is seen inside of containers against a sheet of rows.

Below a row's title ("SECTION.NAME what must hold", at the margin) each line is one of

    WHO OPTIONS -> EXPECTATION; EXPECTATION ...
    same NAME,NAME=VALUE like OPTIONS [beside OPTIONS]
    test FILE "SENTENCE"

WHO is `both`, `root` or `user`, with `/plain` or `/contain` for one of the two ways only: each line is tried as root and as an
ordinary user, as it is and with --contain. OPTIONS are those of exec in a shell's words, `-` for none; words NAME=VALUE in front
are variables, a word @NAME another image than the usual one.
`same` holds the variables SINGULARITY_NAME and APPTAINER_NAME against an option, by what --dry-run prints.
`test` names the case of another test of this folder where the row is tried at length.

Expectations; a REGEX must match the whole text:

    mount POINT TYPE [OPTION | !OPTION ...]   the uppermost mount there: its file system (a REGEX), its options (also of the file system;
                                              `master`: mounts of the host come in)
    no mount POINT
    order POINT POINT ...                     mounted in this order
    fact NAME REGEX                           uid gid groups user umask pwd hostname pid1 nnp seccomp CapEff ... ns.NAME (own, host)
    env NAME REGEX, no env NAME
    sh 'SCRIPT' REGEX                         what it prints, with blanks in place of newlines
    status N                                  of the command; without it the script's own, 37, which shows that it is handed on
    err REGEX                                 anywhere in stderr; no err REGEX

Whatever has the same options, image and user shares one container. `{NAME}` is what the environment has as SHEET_NAME, `{home}`,
`{uid}`, `{gid}`, `{name}` and `{cwd}` are those of whoever runs it; what it has as SHEET_TEXT_NAME is meant literally, with blanks
in place of newlines. Prints a table of what was tried, and FAILED lines; the
status is 0 when nothing failed and each row has something to show it."""
import json, os, re, shlex, subprocess, sys

PROBE = r"""
s() { echo; echo "@@ $1"; }
s mountinfo; cat /proc/self/mountinfo 2>/dev/null
s status; cat /proc/self/status 2>/dev/null
s env; env
s ids; id -u; id -g; id -G; id -un 2>/dev/null || echo nobody-knows
s umask; umask
s pwd; pwd
s hostname; hostname
s pid1; cat /proc/1/comm 2>/dev/null
s ns; for n in mnt pid ipc uts net user cgroup; do echo "$n $(readlink /proc/self/ns/$n)"; done
"""
WAYS = ("root plain", "root contain", "user plain", "user contain")
MOUNT = re.compile(r"\d+ \d+ \S+ \S+ (\S+) (\S+) (.*?)- (\S+) \S+ (\S*)")
failures = 0


def fail(row, what):
    global failures
    failures += 1
    print(f"FAILED: {row.name}: {what}")


class Row:
    def __init__(self, name):
        self.name, self.lines, self.tests, self.tried = name, [], 0, dict.fromkeys(WAYS, 0)


class Seen:
    """What a container's probe has printed."""

    def __init__(self, result):
        self.status, self.err, self.parts, self.scripts = result.returncode, result.stderr, {}, {}
        for part in result.stdout.split("\n@@ ")[1:]:
            head, _, text = part.partition("\n")
            if head.startswith("sh "):
                self.scripts[int(head[3:])] = " ".join(text.split())
            else:
                self.parts[head] = text
        # Point, options of the mount, file system, options of that with how mounts made elsewhere come in ("master", "shared").
        self.mounts = [(m[1], m[2], m[4], ",".join([m[5]] + re.findall(r"(\w+):", m[3]))) for m in map(MOUNT.match, self.part("mountinfo")) if m]
        self.env = dict(line.split("=", 1) for line in self.part("env") if "=" in line)
        ids = self.part("ids") + [""] * 4
        self.facts = {"uid": ids[0], "gid": ids[1], "groups": ids[2], "user": ids[3]}
        for name in ("umask", "pwd", "hostname", "pid1"):
            self.facts[name] = "".join(self.part(name)[:1])
        for line in self.part("status"):
            name, _, value = line.partition(":")
            self.facts[{"NoNewPrivs": "nnp", "Seccomp": "seccomp"}.get(name, name)] = value.strip()
        for line in self.part("ns"):
            name, _, value = line.partition(" ")
            self.facts["ns." + name] = "host" if value == os.readlink("/proc/self/ns/" + name) else "own"

    def part(self, name):
        return [line for line in self.parts.get(name, "").split("\n") if line]

    def mount(self, point):
        return next((m for m in reversed(self.mounts) if m[0] == point), None)


def same(pattern, text):
    return re.fullmatch(pattern, text, re.S) is not None


def judge(seen, words):
    """None when it holds, else what is wrong."""
    negated = words[0] == "no"
    kind, *rest = words[1:] if negated else words
    if kind == "mount":
        found = seen.mount(rest[0])
        if negated:
            return None if found is None else f"{rest[0]} is mounted: {' '.join(found)}"
        if found is None:
            return f"nothing is mounted on {rest[0]}"
        if not same(rest[1], found[2]):
            return f"{rest[0]} is {found[2]} and not {rest[1]}"
        options = (found[1] + "," + found[3]).split(",")
        # A file system may be read-only although its mount is not; what the mount itself says is what counts.
        for option in rest[2:]:
            there = option.lstrip("!") in (found[1].split(",") if option.lstrip("!") in ("ro", "rw") else options)
            if there == option.startswith("!"):
                return f"{rest[0]} {'has' if there else 'lacks'} {option.lstrip('!')}: {','.join(options)}"
        return None
    if kind == "order":
        places = [max((i for i, m in enumerate(seen.mounts) if m[0] == point), default=-1) for point in rest]
        if -1 in places:
            return f"nothing is mounted on {rest[places.index(-1)]}"
        return None if places == sorted(places) else f"{' '.join(rest)} are mounted in another order: {places}"
    if kind == "fact":
        value = seen.facts.get(rest[0], "")
        return None if same(rest[1], value) else f"{rest[0]} is '{value}' and not '{rest[1]}'"
    if kind == "env":
        if negated:
            return None if rest[0] not in seen.env else f"{rest[0]} is set to {seen.env[rest[0]]}"
        value = seen.env.get(rest[0])
        return None if value is not None and same(rest[1], value) else f"{rest[0]} is '{value}' and not '{rest[1]}'"
    if kind == "err":
        return None if (re.search(rest[0], seen.err) is not None) != negated else f"stderr {'has' if negated else 'lacks'} /{rest[0]}/: {seen.err[-600:]}"
    return f"unknown expectation '{' '.join(words)}'"


class Sheet:
    def __init__(self, path):
        self.path, self.rows = path, []
        self.user = shlex.split(os.environ["SHEET_USER_WORDS"])
        self.users = os.environ["SHEET_USERS"].split()
        self.names = {key[6:]: value for key, value in os.environ.items() if key.startswith("SHEET_")}
        self.runs = {}

    def read(self):
        for number, line in enumerate(open(self.path), 1):
            line = line.rstrip("\n")
            if not line.strip() or line.startswith("#"):
                continue
            if line[0] != " ":
                self.rows.append(Row(line))
            elif line.strip().startswith("test "):
                self.rows[-1].tests += self.pointer(self.rows[-1], shlex.split(line)[1:])
            else:
                self.rows[-1].lines.append((number, line.strip()))

    def pointer(self, row, words):
        path = os.path.join(os.path.dirname(self.path), words[0])
        if not os.path.exists(path):
            path = os.path.join(os.environ["SG_SOURCE"], "tests", words[0])
        text = open(path).read() if os.path.exists(path) else ""
        for word in words[1:]:
            if word not in text:
                fail(row, f"{words[0]} has no case '{word}'")
        return 1

    def filled(self, words, who):
        own = {"home": self.names["USER_HOME"] if who == "user" else "/root", "uid": self.names["USER_ID"] if who == "user" else "0"}
        own.update(gid=own["uid"], name=self.names["USER_NAME"] if who == "user" else "root", cwd=self.names["CWD"] + "/" + who)
        value = lambda name: re.escape(" ".join(self.names["TEXT_" + name].split())) if "TEXT_" + name in self.names else self.names[name]
        return [re.sub(r"\{(\w+)\}", lambda m: own[m[1]] if m[1] in own else value(m[1]), w) for w in words]

    def plan(self):
        """Each line's expectations, put to the container that they share."""
        for row in self.rows:
            for number, line in row.lines:
                if line.startswith("same "):
                    continue
                left, arrow, right = line.partition(" -> ")
                who, _, options = left.partition(" ")
                who, _, way = who.partition("/")
                if not arrow or who not in ("both", "root", "user"):
                    fail(row, f"line {number}: {line}")
                    continue
                for user in ("root", "user") if who == "both" else (who,):
                    for contain in ("plain", "contain") if not way else (way,):
                        if user not in self.users:
                            continue
                        try:
                            words = self.filled(shlex.split(options), user) if options.strip() != "-" else []
                            wanted = [self.filled(w, user) for w in self.expectations(right)]
                        except (ValueError, KeyError) as e:
                            fail(row, f"line {number}: {e}")
                            continue
                        self.runs.setdefault((user, contain, tuple(words)), []).append((row, number, wanted))

    @staticmethod
    def expectations(text):
        """Divided by ';' outside of quotes."""
        out, quote = [""], ""
        for c in text:
            quote = "" if c == quote else c if not quote and c in "'\"" else quote
            if c == ";" and not quote:
                out.append("")
            else:
                out[-1] += c
        return [shlex.split(part) for part in out if part.strip()]

    def command(self, user, words, more, rest):
        variables = []
        while words and re.match(r"[A-Za-z_]\w*=", words[0]):
            variables.append(words.pop(0))
        image = next((self.names[w[1:].upper()] for w in words if w.startswith("@")), self.names["IMAGE"])
        words = [w for w in words if not w.startswith("@")]
        command = self.user if user == "user" else []
        if variables:
            command = command + ["env"] + variables
        return command + ["singularity", "exec"] + more + words + [image] + rest

    def run(self, user, command):
        return subprocess.run(command, cwd=self.names["CWD"] + "/" + user, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=120)

    def try_all(self):
        for (user, contain, words), wanted in self.runs.items():
            scripts = []
            for _, _, expectations in wanted:
                scripts += [w[1] for w in expectations if w[0] == "sh" and w[1] not in scripts]
            probe = PROBE + "".join(f"\ns 'sh {i}'; ( {text}\n) 2>/dev/null" for i, text in enumerate(scripts)) + "\necho\nexit 37"
            command = self.command(user, list(words), ["--contain"] if contain == "contain" else [], ["/bin/sh", "-c", probe])
            seen = Seen(self.run(user, command))
            told = False
            for row, number, expectations in wanted:
                row.tried[f"{user} {contain}"] += 1
                status = next((int(w[1]) for w in expectations if w[0] == "status"), 37)
                wrong = [] if seen.status == status else [f"status {seen.status} and not {status}: {seen.err[-600:]}"]
                if status == 37 and seen.status != 37:
                    expectations = []  # nothing was seen
                for w in expectations:
                    if w[0] == "status":
                        continue
                    if w[0] == "sh":
                        text = seen.scripts.get(scripts.index(w[1]), "")
                        said = None if same(w[2], text) else f"'{w[1]}' prints '{text}' and not '{w[2]}'"
                    else:
                        said = judge(seen, w)
                    if said:
                        wrong.append(said)
                for what in wrong:
                    fail(row, f"line {number}, {user}, {contain}: {what}")
                if wrong and not told:
                    told = True
                    print("    command: " + shlex.join(c if c != probe else "PROBE" for c in command))

    def document(self, user, words, variables=()):
        command = self.command(user, list(variables) + list(words), ["--dry-run"], ["true"])
        result = self.run(user, command)
        try:
            document = json.loads(result.stdout)
        except ValueError:
            return f"status {result.returncode}: {result.stderr[-300:]}"
        document.pop("origin", None)
        return json.dumps(document, sort_keys=True)

    def compare_variables(self):
        for row in self.rows:
            for number, line in row.lines:
                if not line.startswith("same "):
                    continue
                for user in self.users:
                    variables, _, options = line[5:].partition(" like ")
                    options, _, beside = options.partition(" beside ")
                    words = self.filled(shlex.split(options), user)
                    if words[0] in ("root", "user") and words.pop(0) != user:
                        continue
                    names, _, value = self.filled(shlex.split(variables), user)[0].partition("=")
                    beside = shlex.split(beside)
                    wanted = self.document(user, beside + words)
                    if wanted.startswith("status") or wanted == self.document(user, beside):
                        fail(row, f"line {number}, {user}: {options} changes nothing: {wanted[:300]}")
                        continue
                    for name in names.split(","):
                        for prefix in ("SINGULARITY_", "APPTAINER_"):
                            found = self.document(user, beside, [prefix + name + "=" + value])
                            if found != wanted:
                                fail(row, f"line {number}, {user}: {prefix}{name} is not as {options}: {found[:300] if found.startswith('status') else ''}")
                    row.tried[f"{user} plain"] += 1

    def show(self):
        print("row".ljust(74) + "".join(w.rjust(13) for w in WAYS) + "  elsewhere")
        for row in self.rows:
            print(row.name[:73].ljust(74) + "".join(str(row.tried[w] or "-").rjust(13) for w in WAYS) + str(row.tests or "-").rjust(11))
            if not row.tests and not any(row.tried.values()) and (len(self.users) == 2 or not row.lines):
                fail(row, "nothing shows it")
        print(f"{len(self.rows)} rows, {len(self.runs)} containers")


sheet = Sheet(sys.argv[1])
sheet.read()
sheet.plan()
sheet.try_all()
sheet.compare_variables()
sheet.show()
sys.exit(1 if failures else 0)
