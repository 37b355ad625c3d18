"""type.py bash SCRIPT TEXT | type.py zsh FOLDER TEXT: types TEXT and TAB into an interactive shell that has the completion,
and prints what the line has become. The key Control-X then writes the line to a file, so that no screen is read."""
import os
import pty
import select
import sys
import tempfile
import time

shell, script, text = sys.argv[1:]
folder = tempfile.mkdtemp()
line, ready = os.path.join(folder, "line"), os.path.join(folder, "ready")
if shell == "bash":
    setup = (f"source {script}; save() {{ printf %s \"$READLINE_LINE\" >{line}.new; mv {line}.new {line}; }}; "
             f"bind -x '\"\\C-x\\C-l\": save'; PS1=; : >{ready}\n")
    command = ["bash", "--norc", "--noprofile", "-i"]
else:
    setup = (f"fpath=({script} $fpath); autoload -Uz compinit; compinit -u -D; save() {{ printf %s \"$BUFFER\" >{line}.new; mv {line}.new {line}; }}; "
             f"zle -N save; bindkey '^X^L' save; PS1=; : >{ready}\n")
    command = ["zsh", "-f", "-i"]

pid, terminal = pty.fork()
if pid == 0:
    os.environ["INPUTRC"] = "/dev/null"
    os.execvp(command[0], command)


def wait_for(path, keys):
    os.write(terminal, keys)
    end = time.monotonic() + 30
    while not os.path.exists(path):
        if time.monotonic() > end:
            sys.exit(f"{shell} did not answer")
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                os.read(terminal, 65536)
            except OSError:
                sys.exit(f"{shell} has ended")


wait_for(ready, setup.encode())
wait_for(line, text.encode() + b"\t" + b"\x18\x0c")
print(open(line).read(), end="")
os.kill(pid, 9)
