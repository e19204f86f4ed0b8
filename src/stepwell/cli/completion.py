"""`stepwell completion`: the scripts by which shells complete what is typed, and the answers to what those ask.

click makes all of it, but for bash and zsh. In bash click's script lets a value be taken for a pattern of files, and
reads a word with a colon in it, such as a URL, as several; in zsh it offers no file behind `--option=`.
"""

import os
import re
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    get_completion_class,
    shell_complete,
    split_arg_string,
)

from stepwell.cli.failures import COMPLETES, USAGE, Failure

_NAME = "stepwell"

_SCRIPT_OF_BASH = r"""
%(complete_func)s() {
    local kind value
    COMPREPLY=()
    while IFS=, read -r kind value; do
        case $kind in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(COMP_LINE="${COMP_LINE:0:$COMP_POINT}" %(complete_var)s=bash_complete "$1" 2>/dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
""".lstrip()

# What bash takes for the end of a word, beside blanks and quotes, and is in what is offered.
_BREAKS = ":="
_QUOTES = ("'", '"')
_PLAIN = re.compile(r"[^\w@%+=:,./-]")


class _Remembering(ShellComplete):
    """Completion that tells what was typed before as the `obj` of the context."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        """Return what fits in the place of what is typed, which may be a whole `--option=value`."""
        self.ctx_args["obj"] = args.copy()
        option = incomplete[: incomplete.index("=") + 1] if incomplete.startswith("-") and "=" in incomplete else ""
        found = super().get_completions(args, incomplete)
        return [CompletionItem(f"{option}{one.value}", one.type, one.help) for one in found]


class _Bash(BashComplete):
    """Completion that takes words and values as bash does."""

    source_template = _SCRIPT_OF_BASH
    _quote = _word = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the one that is typed, and what is there of that."""
        line = os.environ["COMP_LINE"]
        start = _start_of_last_word(line)
        self._quote = line[start] if line[start:][:1] in _QUOTES else ""
        self._word = "".join(split_arg_string(line[start:])[:1])
        return split_arg_string(line[:start])[1:], self._word

    def format_completion(self, item: Any) -> str:
        """Return what bash is to put in the place of what it takes for the word that is typed."""
        if item.type != "plain" or self._quote:
            return f"{item.type},{_within_quotes(item.value, self._quote)}"
        has_it = max(map(self._word.rfind, _BREAKS)) + 1
        return f"plain,{_escaped(item.value[has_it:])}"


class _Zsh(ZshComplete):
    """Completion that offers files behind `--option=`, too."""

    source_template = ZshComplete.source_template.replace("_path_files", "compset -P '--*='; _path_files")


def show(shell: str) -> int:
    """Print the script of a shell; return the exit code. Raises Failure if click does not know the shell."""
    kind = _kind_of(shell)
    if kind is None:
        raise Failure(f"the click that is installed has no script for {shell}", USAGE, "pip install --upgrade click")
    click.echo(kind(click.Group(), {}, _NAME, COMPLETES).source(), nl=False)
    return 0


def answer(commands: click.Command, asked: str) -> int:
    """Answer the script of a shell; return the exit code. Nothing is said of what goes wrong: somebody is typing."""
    shell = asked.partition("_")[0]
    with redirect_stderr(StringIO()):
        try:
            kind = _kind_of(shell)
            if not issubclass(kind, _Remembering):
                add_completion_class(type("_Answers", (_Remembering, kind), {}), shell)
            return shell_complete(commands, {}, _NAME, COMPLETES, asked)
        except (Exception, KeyboardInterrupt):  # an error in the middle of a line that is typed helps nobody
            return 1


def _kind_of(shell: str) -> Any:
    known = get_completion_class(shell)
    return _OURS.get(known, known)


_OURS: dict[Any, Any] = {BashComplete: _Bash, ZshComplete: _Zsh}


def _start_of_last_word(line: str) -> int:
    """Return where the word begins that a line ends with; its end, if that is between words."""
    start, quote, at = 0, "", 0
    while at < len(line):
        character = line[at]
        if character == "\\" and quote != "'":
            at += 1
        elif quote:
            quote = "" if character == quote else quote
        elif character in _QUOTES:
            quote = character
        elif character.isspace():
            start = at + 1
        at += 1
    return start


def _escaped(value: str) -> str:
    """Return a value as it is typed without quotes."""
    return _PLAIN.sub(lambda found: f"\\{found[0]}", value)


def _within_quotes(value: str, quote: str) -> str:
    """Return a value as it is typed after a quote."""
    if quote == "'":
        return value.replace("'", "'\\''")
    return re.sub(r'(["$`\\])', r"\\\1", value)
