#!/usr/bin/env python3
"""run_docs.py [--check] FILE.md...: runs the command blocks of the documentation, so that none is wrong.

A block (indented by four, or fenced) with lines that begin with "$ " says in a comment before it what the test does:

    <!-- run -->                the commands run; what is shown below a command is what it must print, in this order;
                                "..." at the end of a line is any rest, a line "..." any lines
    <!-- run: fails -->         the last command fails (any other status than 0)
    <!-- run: of a command that does not exist yet -->    --check does not look for it
    <!-- run: input TEXT -->    each command reads TEXT and an end of line; lines "Singularity> ..." are typed too
    <!-- not run: WHY -->       it needs what a test does not have
    <!-- file: NAME -->         the block is a file, which is written

and "<!-- setup: COMMAND -->" runs something that readers do not see. All blocks of a file run in one shell, in a directory and a HOME of
their own, so that "cd" and "export" go on. A block without "$ " runs as a whole, in a shell of its own, and its first failure is one.

--check runs nothing: every line of a block that begins with "singularity" or "$ singularity" must name a command and options that
exist, and every block with such a line must be marked. Exit status 1 when anything is wrong."""
import os
import re
import shlex
import subprocess
import sys
import tempfile

wrong = 0


def tell(file, line, text):
    global wrong
    wrong += 1
    print(f"FAILED: {os.path.basename(file)}:{line}: {text}")


def blocks(path):
    """(line, mark, lines) of each block, and (line, "setup: ...", []) of set-ups, in order."""
    lines = open(path, encoding="utf-8").read().split("\n")
    mark, at = "", 0
    while at < len(lines):
        line = lines[at]
        if line.startswith("<!--"):
            text = line
            while "-->" not in text:
                at += 1
                text += "\n" + lines[at]
            text = text[4 : text.index("-->")].strip()
            if text.startswith("setup:"):
                yield at + 1, text, []
            elif text.split(":")[0] in ("run", "not run", "file"):
                mark = text
            at += 1
            continue
        fence = re.match(r"(```+)", line)
        if fence:
            first = at + 1
            at = first
            while at < len(lines) and not lines[at].startswith(fence[1]):
                at += 1
            yield first + 1, mark, lines[first:at]
            mark = ""
        elif line.startswith("    ") and (at == 0 or not lines[at - 1].strip() or lines[at - 1].rstrip().endswith("-->")) and (mark or not in_list(lines, at)):
            first = at
            while at < len(lines) and (lines[at].startswith("    ") or not lines[at].strip()):
                at += 1
            body = [l[4:] for l in lines[first:at]]
            while body and not body[-1].strip():
                body.pop()
            yield first + 1, mark, body
            mark = ""
            continue
        elif line.strip():
            mark = ""
        at += 1


def in_list(lines, at):
    while at > 0 and (not lines[at].strip() or lines[at].startswith(" ")):
        at -= 1
    return bool(re.match(r"([-*]|\d+\.) ", lines[at]))


# ---- Static: commands and options that exist --------------------------------------------------------

helps = {}


def help_of(words):
    if words not in helps:
        done = subprocess.run(["singularity", *words, "--help"], capture_output=True, text=True)
        helps[words] = done.stdout if done.returncode == 0 else ""
    return helps[words]


def check_line(path, number, text):
    text = re.sub(r"\s#\s.*", "", text)  # a comment behind it
    text = re.sub(r"^(sudo (-E )?|[A-Z_]+=\S+ )*", "", text)
    try:
        words = shlex.split(text.rstrip("\\"), posix=True)
    except ValueError:
        words = text.split()
    words = words[1:]
    while words and words[0].startswith("-"):
        words = words[2 if words[0] == "--set" else 1 :]
    if not words or words[0] in ("VERB", "...", "COMMAND"):
        return
    verb = (words[0],)
    if not help_of(verb):
        return tell(path, number, f"there is no command '{words[0]}'")
    rest = words[1:]
    while rest and re.search(rf"^Commands:$(\n  .*)*\n  {re.escape(rest[0])} ", help_of(verb), re.M):
        verb += (rest[0],)
        rest = rest[1:]
    known = help_of(verb)
    # What runs containers hands all behind the image to the program there.
    stops = verb[0] in ("exec", "run", "shell", "test")
    values = re.findall(r"(--[a-z][a-z-]*|-[A-Za-z]) [A-Z]+", known)
    skip = False
    for word in rest:
        if skip:
            skip = False
        elif re.match(r"--?[A-Za-z]", word):
            name = word.split("=")[0]
            if name != "--help" and not re.search(rf"(^|[ ,]){re.escape(name)}([ ,\n]|$)", known, re.M):
                if not (re.match(r"-[A-Za-z]{2,}$", name) and all(re.search(rf"(^|[ ,])-{c}([ ,\n]|$)", known, re.M) for c in name[1:])):
                    tell(path, number, f"'{' '.join(verb)}' has no option {name}")
            skip = name in values and "=" not in word
        elif word in ("|", ">", "&&", ";", "||") or stops:
            break


# ---- Running ------------------------------------------------------------------------------------------


class Shell:
    def __init__(self, directory):
        self.directory = directory
        self.count = 0
        self.process = subprocess.Popen(["bash", "--norc", "--noprofile"], cwd=directory, stdin=subprocess.PIPE, text=True)
        self.results = tempfile.mkdtemp()

    def run(self, command, typed=""):
        """(status, output) of it."""
        self.count += 1
        base = os.path.join(self.results, str(self.count))
        os.mkfifo(base + ".rc")
        open(base + ".in", "w").write(typed)
        open(base + ".sh", "w").write(command + "\n")
        self.process.stdin.write(f". {base}.sh <{base}.in >{base}.out 2>&1; echo $? >{base}.rc\n")
        self.process.stdin.flush()
        status = int(open(base + ".rc").read() or 1)
        return status, open(base + ".out", errors="replace").read()


def shown_lines(expected, output):
    """The first expected line that the output lacks, or None. ".../" is the directory of a file."""
    got = [l.rstrip() for l in output.replace("\r", "\n").split("\n")]
    at = 0
    for line in expected:
        line = line.rstrip()
        if not line or line == "...":
            continue
        while at < len(got):
            at += 1
            end = r".*" if line.endswith("...") else ""
            text = re.escape(line[:-3] if end else line).replace(re.escape(".../"), r"/\S*/")
            if re.fullmatch(text + end, got[at - 1]):
                break
            # A question and its answer stand in one line at a terminal.
            if re.search(r"\[N/y\] ?y?$", line) and line.rstrip("y ").rstrip() in got[at - 1]:
                break
        else:
            return line
    return None


def commands(lines):
    """(line offset, command, shown, typed) of a block with prompts."""
    out = []
    for i, line in enumerate(lines):
        if line.startswith("$ "):
            out.append([i, re.sub(r"\s{3,}# .*$", "", line[2:]), [], []])
        elif out and (out[-1][1].endswith("\\") or unfinished(out[-1][1])) and not out[-1][2]:
            out[-1][1] += "\n" + line.removeprefix("> ")
        elif out and line.startswith("Singularity> "):
            out[-1][3].append(line[len("Singularity> ") :])
        elif out:
            out[-1][2].append(line)
    return out


def unfinished(command):
    here = re.search(r"<<-?'?(\w+)'?", command)
    return bool(here) and not re.search(rf"^{here[1]}$", command, re.M)


def run_file(path, shell):
    print(f"== {os.path.basename(path)}")
    for number, mark, lines in blocks(path):
        kind, _, rest = mark.partition(":")
        rest = rest.strip()
        if kind == "setup":
            status, output = shell.run(rest)
            if status != 0:
                tell(path, number, f"set-up: {rest}\n{output}")
        elif kind == "file":
            target = os.path.join(shell.run("pwd")[1].strip(), rest)
            open(target, "w").write("\n".join(lines) + "\n")
        elif kind == "run":
            prompts = any(l.startswith("$ ") for l in lines)
            todo = commands(lines) if prompts else [[0, "(set -e\n" + "\n".join(lines) + "\n)", [], []]]
            for i, (offset, command, shown, typed) in enumerate(todo):
                last = i == len(todo) - 1
                text = "".join(t + "\n" for t in typed)
                if rest.startswith("input "):
                    text += rest[6:] + "\n"
                status, output = shell.run(command, text)
                place = number + offset
                if (status == 0) == (last and rest == "fails"):
                    tell(path, place, f"status {status}: {command}\n{output}")
                    continue
                missing = shown_lines([l for l in shown if not l.startswith("Singularity> ")], output)
                if missing:
                    tell(path, place, f"{command}\ndid not print: {missing}\nbut:\n{output}")


if sys.argv[1] == "--check":
    for path in sys.argv[2:]:
        for number, mark, lines in blocks(path):
            for i, line in enumerate(lines):
                text = line.removeprefix("$ ")
                if not re.match(r"(sudo (-E )?|[A-Z_]+=\S+ )*singularity( |$)", text):
                    continue
                if not mark:
                    tell(path, number, "the block is neither marked 'run' nor 'not run: WHY'")
                    break
                if not mark.startswith("run: of a command"):
                    check_line(path, number + i, text)
else:
    for path in sys.argv[1:]:
        directory = tempfile.mkdtemp(dir=os.environ.get("DOCS_DIR"))
        os.chmod(directory, 0o755)
        for name in ("home", "work"):
            os.mkdir(os.path.join(directory, name))
        os.environ["HOME"] = os.path.join(directory, "home")
        run_file(path, Shell(os.path.join(directory, "work")))
print(f"{wrong} wrong" if wrong else "all right")
sys.exit(1 if wrong else 0)
