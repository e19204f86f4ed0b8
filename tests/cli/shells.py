"""A real shell on a terminal, into which somebody types."""

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.crash.processes import running
from tests.crash.server import DEADLINE_S

# To the start of the line, where a function is put before it that shows its words; then the line is entered.
_SHOW = "\x01words \x05\n"
_WORDS = re.compile(r"\[words:(.*?)\]\r?\n", re.DOTALL)
_START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}
# What no test may depend on is how fast the machine is just now.
_PATIENT = "import stepwell.cli.completing as completing\ncompleting._LIMIT_S = 30\n"
_PREPARE = {
    "bash": "bind 'set bell-style none'; bind 'set enable-bracketed-paste off'",
    "zsh": "bindkey -e; unsetopt BEEP PROMPT_CR PROMPT_SP; autoload -Uz compinit; compinit -u -D",
}


class Shell:
    """A shell that has Stepwell's completion."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self.written = ""

    def words_of(self, typed: str) -> list[str]:
        """Return the words of a command line, as the shell understands them when this has been typed."""
        self.written = ""
        os.write(self._terminal, (typed + _SHOW).encode())
        return self._read_until(_WORDS)[1].split("|")[1:]

    def run(self, line: str) -> None:
        """Run a line, and wait for its end."""
        os.write(self._terminal, f"{line}; echo rea''dy\n".encode())
        self._read_until(re.compile(r"\nready\r?\n"))
        self.written = ""

    def _read_until(self, wanted: re.Pattern[str]) -> re.Match[str]:
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            if select.select([self._terminal], [], [], 0.2)[0]:
                self.written += os.read(self._terminal, 65_536).decode()
            if found := wanted.search(self.written):
                return found
        raise AssertionError(f"waited in vain for {wanted.pattern!r}:\n{self.written}")


@contextmanager
def shell_with_completion(name: str, env: Mapping[str, str], cwd: Path) -> Iterator[Shell]:
    """Give a shell of this name that has loaded the script that `stepwell completion` prints."""
    (cwd / "sitecustomize.py").write_text(_PATIENT)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    given = {
        **os.environ,
        **env,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "TERM": "dumb",
        "PYTHONPATH": str(cwd),
    }
    given = {key: value for key, value in given.items() if key not in {"INPUTRC", "PROMPT_COMMAND", "ENV", "BASH_ENV"}}
    options = {"stdin": theirs, "stdout": theirs, "stderr": theirs, "env": given | {"PS1": "$ "}, "cwd": cwd}
    try:
        with running(_START[name], **options) as process:
            os.close(theirs)
            shell = Shell(ours)
            shell.run(_PREPARE[name])
            shell.run("words() { printf '[words:'; printf '|%s' \"$@\"; printf ']\\n'; }")
            shell.run(f'eval "$(stepwell completion {name})"')
            yield shell
            process.kill()
    finally:
        os.close(ours)
