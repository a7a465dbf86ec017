"""Types lines into an interactive shell on a terminal of its own, each after the shell's prompt, and waits for the end.

Arguments: the prompt to wait for, then the shell's command line. Standard input: a JSON list of lines, each typed as it
stands, so a line needs its newline.
"""

import json
import os
import pty
import sys

lines = json.load(sys.stdin)
prompt = sys.argv[1].encode()
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
seen = shown = b''
while True:
    try:
        got = os.read(terminal, 4096)
    except OSError:  # The shell has closed the terminal.
        break
    if not got:
        break
    seen, shown = seen + got, shown + got
    if prompt in seen and lines:
        seen = b''
        os.write(terminal, lines.pop(0).encode())
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
