#!/usr/bin/env python3
"""answer.py PROMPT=ANSWER... COMMAND...: runs the command at a terminal of its own and types each answer once its prompt is shown.
Prints what the terminal showed; ends with the command's status. COMMAND begins at the first word without '='."""
import os
import pty
import sys

words = sys.argv[1:]
answers = []
while words and "=" in words[0]:
    answers.append(words.pop(0).split("=", 1))

pid, terminal = pty.fork()
if pid == 0:
    os.execvp(words[0], words)
shown = b""
while True:
    try:
        more = os.read(terminal, 65536)
    except OSError:  # the command is gone
        break
    if not more:
        break
    sys.stdout.buffer.write(more)
    shown += more
    if answers and answers[0][0].encode() in shown:
        os.write(terminal, answers.pop(0)[1].encode() + b"\n")
        shown = b""
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
