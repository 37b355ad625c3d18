#!/usr/bin/env python3
"""check_words.py FILE.md...: every option and configuration key that prose names between backquotes exists.

Options are compared with the help of all verbs, keys with `config schema`. What belongs to other programs stands in OTHERS. Blocks of commands are checked by run_docs.py --check. Exit status 1 when anything is wrong."""
import glob
import json
import os
import re
import shutil
import subprocess
import sys

# Options that the pages speak of though no help shows them, and why.
OTHERS = set(
    "--from --read-only --set-env --unset-env --tmpfs --rm --entrypoint --gpus --security-opt"  # of Docker, Podman and Charliecloud
    " --cpus-per-task --mem --time --now --variant --cflags"  # of sbatch, systemctl, debootstrap and pkg-config
    " --oversubscribe --allow-run-as-root"  # of mpirun
    " --sharens --unsquash --network-args --underlay --boot --dmtcp-launch --dmtcp-restart"  # of Apptainer: refused, or taken and without effect
    " --reference --cloud --greet".split()  # of scripts/abi; of made-up plugins
)
# They look like keys: files, and members of other programs' documents.
FILES = {"root.path", "plugins.d", "conf.d", "hub.db", "policy.h", "policy.hpp"}


def said(*words):
    return subprocess.run(["singularity", *words], capture_output=True, text=True).stdout


def helps(words=()):
    """The help of a verb and of all below it."""
    text = said(*words, "--help") if words else said("help")
    yield text
    if words:
        for name in re.findall(r"^  ([a-z][a-z-]*) ", "".join(re.findall(r"^Commands:\n((?:  .*\n)+)", text, re.M)), re.M):
            yield from helps((*words, name))


def hidden():
    """Options of plugins that work and are not shown."""
    prefix = os.path.dirname(os.path.dirname(os.path.realpath(shutil.which("singularity"))))
    return ["--" + name for path in glob.glob(prefix + "/lib/singularity/plugins/*/plugin.yaml") for name in re.findall(r"long: ([a-z-]+)", open(path).read())]


def verbs():
    return sorted(set(re.findall(r"^  ([a-z][a-z-]+) ", said("help").split("\nSources of images")[0], re.M)))


def keys_of(schema, before=""):
    out = set()
    for name, below in schema.get("properties", {}).items():
        out.add(before + name)
        out |= keys_of(below, before + name + ".")
    return out


def main(pages):
    verbs_known = verbs()
    texts = [said("help")] + [t for v in verbs_known for t in helps((v,))] + hidden()
    everything = "\n".join(texts)
    options = set(re.findall(r"(?<![\w-])--?[A-Za-z][A-Za-z0-9-]*", everything))
    keys = keys_of(json.loads(said("config", "schema")))
    heads = {k.split(".")[0] for k in keys if "." in k}
    wrong = 0
    for page in pages:
        for number, line in enumerate(prose(page), 1):
            for span in re.findall(r"`([^`]+)`", line):
                first = span.split()[0] if span.split() else ""
                if " " in span and re.match(r"[a-z]", first) and first != "singularity" and first not in verbs_known:
                    continue  # another program's
                for option in re.findall(r"(?<![\w/.-])--[a-z][a-z0-9-]*", span):
                    if option not in options and option not in OTHERS:
                        print(f"FAILED: {os.path.basename(page)}:{number}: there is no option {option}")
                        wrong = 1
                if re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", span) and span.split(".")[0] in heads and span not in keys | FILES:
                    print(f"FAILED: {os.path.basename(page)}:{number}: there is no key {span}")
                    wrong = 1
    return wrong


def prose(page):
    """The lines of a page; those of blocks are empty."""
    fenced = False
    for line in open(page, encoding="utf-8").read().split("\n"):
        if line.startswith("```"):
            fenced = not fenced
            yield ""
        else:
            yield "" if fenced or re.match(r"    ", line) else line


sys.exit(main(sys.argv[1:]))
