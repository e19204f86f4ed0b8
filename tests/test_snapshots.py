"""What a snapshot of a project has, and how it is laid out again."""

import os
import tracemalloc
from importlib.metadata import distributions
from pathlib import Path

import pytest

from stepwell.errors import ScriptError
from stepwell.project import Project
from stepwell.snapshots import differences, lay_out, of_files, packages, take

FLOW = b"from stepwell import WorkflowEntrypoint\n\nclass Flow(WorkflowEntrypoint):\n    pass\n"


def _write(folder: Path, **files: bytes) -> None:
    for name, body in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


def test_snapshot_has_source_modules_and_data(tmp_path: Path) -> None:
    """All files below the folder, with their paths in it."""
    _write(tmp_path, flows_dot_py=FLOW, lib__helper_dot_py=b"x = 1\n", data__prompt_dot_txt=b"\xff\0")

    taken = take(Project.at(tmp_path), 1_000)

    assert {file.path: file.body for file in taken.files} == {
        "data/prompt.txt": b"\xff\0",
        "flows.py": FLOW,
        "lib/helper.py": b"x = 1\n",
    }
    assert taken.source == "."


def test_what_is_no_code_is_left_out(tmp_path: Path) -> None:
    """Secrets and other hidden files, databases, logs, caches, environments, and what links lead to."""
    _write(
        tmp_path,
        flows_dot_py=FLOW,
        _dot_dev_dot_vars=b"KEY=secret",
        _dot_stepwell__stepwell_dot_db=b"x",
        store_dot_db=b"x",
        run_dot_log=b"x",
        __pycache____flows_dot_pyc=b"x",
        node_modules__a_dot_js=b"x",
        env__pyvenv_dot_cfg=b"x",
        env__lib_dot_py=b"x",
    )
    (tmp_path / "round").symlink_to(tmp_path)

    assert [file.path for file in take(Project.at(tmp_path), 1_000).files] == ["flows.py"]


def test_hash_is_that_of_the_files_and_of_nothing_else(tmp_path: Path) -> None:
    """The same files in another folder are the same code; one byte of a data file makes another."""
    for name in ("a", "b"):
        _write(tmp_path / name, flows_dot_py=FLOW, data_dot_txt=b"1")
    first, second = (take(Project.at(tmp_path / name), 1_000).sha256 for name in ("a", "b"))
    (tmp_path / "b" / "data.txt").write_bytes(b"2")

    third = take(Project.at(tmp_path / "b"), 1_000).sha256

    assert first == second != third


def test_name_and_content_are_told_apart(tmp_path: Path) -> None:
    """No file's end is another's beginning."""
    _write(tmp_path / "a", flows_dot_py=FLOW, x=b"1y2")
    _write(tmp_path / "b", flows_dot_py=FLOW, x=b"1", y=b"2")

    assert take(Project.at(tmp_path / "a"), 1_000).sha256 != take(Project.at(tmp_path / "b"), 1_000).sha256


def test_source_is_found_below_the_wrangler_file(tmp_path: Path) -> None:
    """The snapshot is of the folder of the wrangler file, and says where in it the source is."""
    _write(tmp_path, src__flows_dot_py=FLOW, wrangler_dot_toml=b'name = "shop"\nmain = "src/flows.py"\n')

    taken = take(Project.at(tmp_path), 1_000)

    assert taken.source == "src/flows.py"
    assert [file.path for file in taken.files] == ["src/flows.py", "wrangler.toml"]


def test_too_large_a_folder_is_refused_with_what_is_large(tmp_path: Path) -> None:
    """Before all of it has been read."""
    _write(tmp_path, flows_dot_py=FLOW, a_dot_bin=bytes(400), z_dot_bin=bytes(10_000))

    with pytest.raises(ScriptError, match=r"more than 500 bytes .* z\.bin \(10,000 bytes\), a\.bin .* snapshot_size"):
        take(Project.at(tmp_path), 500)


def test_source_that_is_left_out_is_refused(tmp_path: Path) -> None:
    """It would not be there where the snapshot is laid out."""
    _write(tmp_path, _dot_flow_dot_py=FLOW)

    with pytest.raises(ScriptError, match=r"\.flow\.py cannot be served: snapshots leave out what begins with a dot"):
        take(Project.at(tmp_path / ".flow.py"), 1_000)


def test_file_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    """No store can keep it."""
    _write(tmp_path, flows_dot_py=FLOW)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")).write_bytes(b"x")

    with pytest.raises(ScriptError, match="cannot be read for the snapshot that is served"):
        take(Project.at(tmp_path), 1_000)


def test_snapshot_is_laid_out_in_place_of_what_is_there(tmp_path: Path) -> None:
    """Somebody may have changed it, or added to it."""
    _write(tmp_path / "code", flows_dot_py=FLOW, lib__helper_dot_py=b"x = 1\n")
    files = take(Project.at(tmp_path / "code"), 1_000).files
    _write(tmp_path / "out", flows_dot_py=b"changed", added_dot_py=b"x")

    lay_out(files, tmp_path / "out")

    found = {str(path.relative_to(tmp_path / "out")): path.read_bytes() for path in (tmp_path / "out").rglob("*.py")}
    assert found == {"flows.py": FLOW, "lib/helper.py": b"x = 1\n"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["code", "out"]
    # Others on the machine may not read the store either.
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700


def test_packages_that_differ_are_named() -> None:
    """What has another version, or is gone; what has come since changes nothing for old code."""
    assert differences({"a": "1", "b": "1", "c": "1"}, {"a": "1", "b": "2", "d": "1"}) == [
        "b 1 then, 2 now",
        "c 1 then, not installed now",
    ]


def test_packages_are_those_that_are_installed() -> None:
    """By their names in small letters, with the versions that Python itself reads."""
    installed = {package.metadata["Name"].lower(): package.version for package in distributions()}

    assert packages() == installed
    assert installed["pytest"].startswith("9.")


def test_files_from_elsewhere_are_a_snapshot_as_those_of_a_folder(tmp_path: Path) -> None:
    """The same files are the same code, in whatever order they come."""
    _write(tmp_path, flows_dot_py=FLOW, lib__helper_dot_py=b"x = 1\n", empty=b"")
    taken = take(Project.at(tmp_path), 1_000)

    made = of_files({file.path: file.body for file in reversed(taken.files)}, ".", 1_000)

    assert made == taken


@pytest.mark.parametrize(
    ("files", "source", "problem"),
    [
        pytest.param({"a.py": b"", "a.py/b": b""}, "a.py", r"'a\.py' is a file and a folder", id="file-and-folder"),
        pytest.param({"ü" * 126: b""}, ".", "at most 250 bytes, all printable, no backslash", id="long-in-bytes"),
        pytest.param({"\udc80.py": b""}, ".", "has a name that not every system takes", id="half-a-character"),
        pytest.param({"": b""}, ".", "'' has a path that leads elsewhere", id="no-name"),
        pytest.param({"a.py": b""}, "b.py", r"'b\.py', which is to be served, is not among those", id="no-source"),
        pytest.param({"a.py": b"x" * 101}, ".", "101 bytes were uploaded: .* or 100 bytes that", id="large"),
        pytest.param({str(n): b"" for n in range(10_001)}, ".", "10,001 files were uploaded: .* 10,000 f", id="many"),
    ],
)
def test_files_that_no_snapshot_has_are_refused(files: dict[str, bytes], source: str, problem: str) -> None:
    """With what is wrong with them."""
    with pytest.raises(ScriptError, match=problem):
        of_files(files, source, 100)


def test_paths_of_many_parts_take_no_room() -> None:
    """A path that is too long is refused before it is looked at part by part: all its folders would be many bytes."""
    path = "a/" * 2_000 + "x"
    tracemalloc.start()

    with pytest.raises(ScriptError, match="has a name that not every system takes"):
        of_files({f"{number}/{path}": b"" for number in range(20)}, ".", 1_000)

    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1_000_000
