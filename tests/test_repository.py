"""The house rules that a machine can count."""

import ast
import functools
import importlib
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import LONGEST

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "stepwell"
MODULES = sorted(SOURCE.rglob("*.py"))
ALL_PYTHON = [
    *MODULES,
    *(path for folder in ("tests", "bench", "examples") for path in sorted((ROOT / folder).rglob("*.py"))),
]

# What tools make: environments, caches, stores, builds. Every other file is the repository's.
MADE_HERE = re.compile(r"\.(?!ci$|editorconfig$|github$|gitignore$).*|__pycache__|build|dist|site|htmlcov")
PRIVATE_PLACES = re.compile(r"/(?:home|root|work|opt)/|\bindex-url\b|\bshared/")
REASONED_NOQA = re.compile(r"# noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)*(?: -|  #) \S+ \w+")
REASONED_CATCH_ALL = re.compile(r"except Exception(?: as \w+)?:  # \S+ \w+")
REASONED_TYPE_IGNORE = re.compile(r"# type: ignore\[[a-z, -]+\](?: -|  #) \S+ \w+")
DEFERRED_WORK = re.compile(r"\b(?:TODO|FIXME|XXX)\b(?!\(#\d+\))")

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def test_no_module_is_longer_than_500_lines() -> None:
    """A module is one noun and never longer than 500 lines."""
    too_long = {_name(path): lines for path in MODULES if (lines := _line_count(path)) > 500}

    assert too_long == {}


def test_no_function_is_longer_than_60_lines() -> None:
    """A function never has more than 60 lines."""
    too_long = {
        f"{_name(path)}:{node.lineno} {node.name}": lines
        for path in MODULES
        for node in ast.walk(_parse(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (lines := _length(node)) > 60
    }

    assert too_long == {}


def test_every_public_name_has_a_docstring() -> None:
    """Every public module, class, function and method says what it does."""
    silent = [
        f"{_name(path)} {name}"
        for path in MODULES
        for name, node in _public_definitions(_parse(path))
        if ast.get_docstring(node) is None
    ]

    assert silent == []


def test_public_names_are_sorted_and_exist() -> None:
    """`stepwell.__all__` is sorted the way ruff sorts it, and each of its names can be imported."""
    package = importlib.import_module("stepwell")

    names = list(package.__all__)

    assert names == sorted(names, key=_constants_then_classes_then_the_rest)
    assert [name for name in names if not hasattr(package, name)] == []


def test_no_file_mentions_a_private_place() -> None:
    """No file of the repository names a folder of somebody's machine or a package index."""
    found = _search(_repository_files(), PRIVATE_PLACES)

    assert found == []


@pytest.mark.parametrize(
    ("marker", "reasoned"),
    [
        pytest.param("# noqa", REASONED_NOQA, id="noqa"),
        pytest.param("# type: ignore", REASONED_TYPE_IGNORE, id="type-ignore"),
    ],
)
def test_exceptions_to_checks_have_a_reason(marker: str, reasoned: re.Pattern[str]) -> None:
    """`# noqa: CODE  # reason` and `# type: ignore[code]  # reason` name both, and the reason has words."""
    unexplained = [
        f"{place}: {comment}"
        for path in ALL_PYTHON
        for place, comment in _comments(path, marker)
        if comment.startswith(marker) and not reasoned.search(comment)
    ]

    assert unexplained == []


def test_catching_everything_has_a_reason() -> None:
    """`except Exception:  # reason` says why no narrower class will do."""
    unexplained = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in ALL_PYTHON
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.match(r" *except Exception\b", line) and not REASONED_CATCH_ALL.search(line)
    ]

    assert unexplained == []


def test_deferred_work_names_its_issue() -> None:
    """Work that is put off carries the number of its issue: TODO(#12)."""
    found = _search((path for path in _repository_files() if path.suffix in {".py", ".sql", ".js"}), DEFERRED_WORK)

    assert found == []


@pytest.mark.parametrize(
    ("pattern", "hit", "miss"),
    [
        pytest.param(PRIVATE_PLACES, "see /home/ann/x", "at home/ann", id="private-place"),
        pytest.param(DEFERRED_WORK, "# TODO: later", "# TODO(#12): later", id="deferred-work"),
        pytest.param(
            REASONED_CATCH_ALL, "except Exception as e:  # it may be any", "except Exception:", id="catch-all"
        ),
        pytest.param(REASONED_NOQA, "# noqa: D101, E501  # it's so", "# noqa: D101", id="noqa"),
        pytest.param(
            REASONED_TYPE_IGNORE,
            "# type: ignore[arg-type]  # checked above",
            "# type: ignore[arg-type]",
            id="type-ignore",
        ),
    ],
)
def test_patterns_tell_the_cases_apart(pattern: re.Pattern[str], hit: str, miss: str) -> None:
    """The patterns above match what they are for and nothing close to it."""
    assert pattern.search(hit)
    assert not pattern.search(miss)


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _line_count(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


@functools.cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), filename=str(path))


def _length(node: Definition) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _public_definitions(module: ast.Module) -> Iterator[tuple[str, Definition | ast.Module]]:
    yield "(module)", module
    for node in module.body:
        if isinstance(node, Definition) and _is_public(node):
            yield node.name, node
            if isinstance(node, ast.ClassDef):
                yield from _public_methods(node)


def _public_methods(owner: ast.ClassDef) -> Iterator[tuple[str, Definition]]:
    for node in owner.body:
        if isinstance(node, Definition) and _is_public(node):
            yield f"{owner.name}.{node.name}", node


def _is_public(node: Definition) -> bool:
    # Another definition already says what these do.
    repeated = {"overload", "override", "setter", "deleter"}
    decorators = {ast.unparse(decorator).rsplit(".", 1)[-1] for decorator in node.decorator_list}
    return not node.name.startswith("_") and not decorators & repeated


def _constants_then_classes_then_the_rest(name: str) -> tuple[int, str]:
    if name.isupper():
        return 0, name
    return (1 if name[0].isupper() else 2), name


def _repository_files() -> Iterator[Path]:
    return (path for path in _files_below(ROOT) if path != Path(__file__))


def _files_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if MADE_HERE.fullmatch(path.name):
            continue
        if path.is_dir():
            yield from _files_below(path)
        else:
            yield path


def _search(paths: Iterator[Path], pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{_name(path)}:{number}: {line.strip()[:100]}"
        for path in paths
        for number, line in enumerate(path.read_text("utf-8", errors="ignore").splitlines(), start=1)
        if pattern.search(line)
    ]


def _comments(path: Path, marker: str) -> Iterator[tuple[str, str]]:
    text = path.read_text("utf-8")
    # To take a file apart takes longer than to read it, and few have any.
    if marker not in text:
        return
    read_line: Callable[[], str] = io.StringIO(text).readline
    for token in tokenize.generate_tokens(read_line):
        if token.type == tokenize.COMMENT:
            yield f"{_name(path)}:{token.start[0]}", token.string


def test_what_takes_longest_is_there() -> None:
    """A file that begins first and is renamed, or goes, is renamed there, or goes, too."""
    assert [name for name in LONGEST if not (ROOT / "tests" / name).is_file()] == []
