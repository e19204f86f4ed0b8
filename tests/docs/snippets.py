"""What README.md and the pages of docs/ show: their fenced blocks, and the command lines of Stepwell's on them."""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import dedent

import click

from stepwell.cli import main

ROOT = Path(__file__).parent.parent.parent
PAGES = tuple(
    path.relative_to(ROOT).as_posix() for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
)
GUIDES = tuple(page for page in PAGES if page.startswith("docs/guides/"))
# Made from the code, and held against it by tests/docs/test_reference.py and test_client.py.
REFERENCE = "docs/reference/"

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (\w+\.\w+)\n")
_INDENTED = re.compile(r"^ {4}(?:\$ )?(.*\bstepwell .*)$", re.MULTILINE)
_BELOW = re.compile(r"\n(?: {4}(?!\$ ).*\n)+")
_INLINE = re.compile(r"`(stepwell [^`]+)`")
_BETWEEN = re.compile(r" \\?\| | && | > ")
_BEFORE = re.compile(r"(?:\w+=\S* |sudo -u \S+ )*")
# What stands for something else, in prose: ID, [WORKFLOW], `instances ...`.
_PLACE_HOLDER = re.compile(r"\[?[A-Z]+\]?(?:\.\.\.)?|\.\.\.|--help")


@dataclass(frozen=True, slots=True)
class Snippet:
    """A block of a page, and the number of its first line."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str:
        """The file that its first line says it is; else one that is named by its place."""
        named = _FILE.match(self.text)
        return named[1] if named else f"block_{self.line}.py"


@dataclass(frozen=True, slots=True)
class Command:
    """A command line of Stepwell's on a page; one in the midst of prose may leave out what it is about."""

    page: str
    line: int
    text: str
    is_prose: bool

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True, slots=True)
class Line:
    """What a page shows to be typed into a shell, in a block or indented, and what comes of it, if that is shown."""

    page: str
    line: int
    text: str
    shown: str | None
    is_indented: bool = False

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"

    @property
    def is_of_a_guide(self) -> bool:
        """Whether it asks the server of a guide's workflows, in a block: tests/docs/test_guides.py types it."""
        asks = re.match(r"stepwell (?!dev|serve|graph|check)", self.text) is not None
        return asks and self.page in GUIDES and not self.is_indented


@cache
def text_of(page: str) -> str:
    """Return what a page says."""
    return (ROOT / page).read_text("utf-8")


@cache
def snippets() -> tuple[Snippet, ...]:
    """Return all blocks of all pages."""
    return tuple(
        Snippet(page, _line_of(block) + 1, block[1], block[2])
        for page in PAGES
        for block in _FENCED.finditer(text_of(page))
    )


def shown(page: str, language: str) -> list[str]:
    """Return the blocks of a page in a language."""
    return [one.text for one in snippets() if one.page == page and one.language == language]


def commands() -> Iterator[Command]:
    """Yield the command lines of all pages that people have written: in blocks, indented, and in the midst of prose."""
    for snippet in snippets():
        if snippet.language in ("sh", "console"):
            for number, line in enumerate(snippet.text.replace("\\\n", "  ").splitlines(), snippet.line):
                if snippet.language == "sh" or line.startswith("$ "):
                    yield from _commands(snippet.page, number, line.removeprefix("$ "), is_prose=False)
    for page in PAGES:
        if not page.startswith(REFERENCE):
            prose = _prose(page)
            for form, is_prose in ((_INDENTED, False), (_INLINE, True)):
                for found in form.finditer(prose):
                    yield from _commands(page, _line_of(found), found[1], is_prose=is_prose)


@cache
def lines() -> tuple[Line, ...]:
    """Return what all pages that people have written show to be typed into a shell."""
    return tuple(line for line in _lines() if not line.page.startswith(REFERENCE))


def words_of(command: Command) -> list[str]:
    """Return what follows the program's name, as a shell would read it."""
    return shlex.split(command.text, comments=True)[1:]


def refusal(command: Command) -> str | None:
    """Return what the real command line has against a command; nothing is run."""
    words = [word for word in words_of(command) if not (command.is_prose and _PLACE_HOLDER.fullmatch(word))]
    try:
        _parse(main, words, None)
    except (click.MissingParameter, click.BadOptionUsage) as error:
        # In prose an option may be named without its value, and a command without what it is about.
        return None if command.is_prose else error.format_message()
    except click.ClickException as error:
        return error.format_message()
    return None


def _lines() -> Iterator[Line]:
    for snippet in snippets():
        if snippet.language == "sh":
            for number, text in enumerate(snippet.text.replace("\\\n", "  ").splitlines(), snippet.line):
                yield Line(snippet.page, number, text, None)
        elif snippet.language == "console":
            for part in f"\n{snippet.text}".split("\n$ ")[1:]:
                text, _, shown = part.partition("\n")
                yield Line(snippet.page, snippet.line, text, shown or None)
    for page in PAGES:
        prose = _prose(page)
        for found in _INDENTED.finditer(prose):
            if [*_commands(page, 0, found[1], is_prose=False)]:
                yield Line(page, _line_of(found), found[1], _answer(found, prose), is_indented=True)


def _answer(command: re.Match[str], prose: str) -> str | None:
    """Return what stands below an indented command, if it is typed behind a `$`."""
    below = _BELOW.match(prose, command.end())
    return dedent(below[0]) if "$ " in command[0] and below else None


def _prose(page: str) -> str:
    """Return what a page says outside of blocks, each line at its number."""
    return _FENCED.sub(lambda block: "\n" * block[0].count("\n"), text_of(page))


def _commands(page: str, number: int, line: str, *, is_prose: bool) -> Iterator[Command]:
    for part in _BETWEEN.split(line):
        begins = _BEFORE.match(part)
        text = part[begins.end() if begins else 0 :]
        if text.partition(" ")[0].rpartition("/")[2] == "stepwell":
            yield Command(page, number, text, is_prose)


def _parse(command: click.Command, words: Sequence[str], above: click.Context | None) -> None:
    if not isinstance(command, click.Group):
        command.make_context(command.name, [*words], parent=above).close()
        return
    if words:
        with command.make_context(command.name, [], parent=above, resilient_parsing=True) as context:
            below = command.get_command(context, words[0])
            if below is None:
                raise click.UsageError(f"there is no command {words[0]}")
            _parse(below, words[1:], context)


def _line_of(found: re.Match[str]) -> int:
    return found.string.count("\n", 0, found.start()) + 1
