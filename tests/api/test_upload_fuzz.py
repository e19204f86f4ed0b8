"""Whatever is sent as an upload of code: it is kept as it is, below its folder, or it is refused and leaves nothing."""

import io
import json
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stepwell import snapshots
from stepwell.errors import ScriptError
from stepwell.server_settings import Settings
from stepwell.store.snapshot_operations import ListUploads, ReadSnapshotFiles, Snapshot
from tests.api.deploying import ACCOUNT
from tests.api.one_server import OneServer

SCRIPT = f"/client/v4/accounts/{ACCOUNT}/workers/scripts/shop"
MOST = 200_000
# A name of 250 characters in quotes and escapes, and what says what is wrong with it.
LONGEST_MESSAGE = 1_500

NAMES = [
    "shop.py",
    "Shop.py",
    "lib/a.py",
    "lib",
    "..",
    "../x.py",
    "lib/../../x.py",
    "/etc/x.py",
    "//host/x.py",
    "C:\\x.py",
    "C:x.py",
    "a\\..\\x.py",
    ".dev.vars",
    "~/x.py",
    "a.whl",
    "wrangler.toml",
    "wrangler.json",
    "wrangler.jsonc",
    "python_modules/../x.py",
    "python_modules/.x/../../y.py",
    "metadata",
    "a\0.py",
    "\u202egnp.py",
    "\uff0e\uff0e/x.py",
    "e\u0301.py",
    "a/" * 1_000 + "x",
    "n" * 251,
    "",
    ".",
    " ",
]
pieces = st.sampled_from(["..", ".", "/", "\\", "a", "a.py", "C:", "\0", "\u2025", "%2e%2e", " ", "\ud800", "\u202e"])
name = st.sampled_from(NAMES) | st.lists(pieces, max_size=8).map("".join) | st.text(max_size=12)


def _archive() -> bytes:
    """Return an archive whose members lead out of every folder, one of them grown from little."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../out.py", b"raise SystemExit")
        archive.writestr("zeros", bytes(10_000_000))
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return whole.getvalue()


CONFIGS = [
    b'{"workflows": null, "vars": null}',
    b'{"workflows": [1]}',
    b'{"vars": {"a": "\\ud800"}}',
    b'{"vars": {"a": 123456789012345678901234567890}}',
    b'{"main": "a\\u0000.py"}',
    b'{"vars": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}",
    b"a = " + b"[" * 5_000,
    b"vars = {a = 2026-11-27, b = nan}",
    b"\xff[[[",
    b"/*" * 1_000,
]
content = st.sampled_from([b"", b"class Order: ...\n", b"\r\n--B--\r\n", _archive(), *CONFIGS]) | st.binary(max_size=30)
metadata = (
    st.sampled_from(
        [
            b'{"main_module": "shop.py"}',
            b'{"main_module": "../shop.py"}',
            b'{"main_module": "shop.py", "stepwell_source": "."}',
            b'{"main_module": "shop.py", "stepwell_source": "/"}',
            b'{"main_module": "shop.py", "bindings": [{"type": "json", "name": "a", "json": 1e400}]}',
            b'{"main_module": "shop.py", "bindings": [{"type": "workflow", "name": "a", "workflow_name": []}]}',
            b'{"main_module": "\\ud800"}',
            b'{"main_module": "+2AA-"}',
            b'{"main_module": ' + b"[" * 10_000,
        ]
    )
    | st.binary(max_size=20)
    | st.builds(lambda name: json.dumps({"main_module": name}).encode(), name)
)
media_type = st.sampled_from(
    [
        *["multipart/form-data; boundary=B"] * 6,
        "multipart/form-data; boundary=B; charset=utf-7",
        "multipart/form-data; boundary=B; charset=utf-16",
        "multipart/form-data; boundary=B; charset=raw_unicode_escape",
        "multipart/form-data; boundary=B; charset=undefined",
        "multipart/form-data; boundary=B; charset=a\0b",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary="B',
        "multipart/form-data; boundary=" + "B" * 300,
        "multipart/form-data",
        "multipart/mixed; boundary=B",
        "\xff",
    ]
)
edit = st.tuples(
    st.floats(0, 1),
    st.integers(0, 20),
    st.sampled_from([b"", b"\0", b"\r\n", b"--B", b"--B--", b'"', b";", b"=", b"\xff", b"%00", b"name*=utf-8''..%2fx"]),
)


def _part(name: str, filename: str | None, body: bytes) -> bytes:
    named = f'name="{name}"' + ("" if filename is None else f'; filename="{filename}"')
    head = f"--B\r\ncontent-disposition: form-data; {named}\r\n\r\n".encode(errors="surrogatepass")
    return head + body + b"\r\n"


@st.composite
def forms(draw: st.DrawFn) -> tuple[bytes, ...]:
    """Draw a form that is almost right, in the pieces in which it comes."""
    files = draw(st.lists(st.tuples(name, content), max_size=4))
    parts = [_part("metadata", None, draw(metadata)), _part("shop.py", "shop.py", b"class Order: ...\n")]
    parts += [_part(name, draw(st.sampled_from([name, "x", None])), body) for name, body in files]
    parts = draw(st.permutations(parts)) if draw(st.booleans()) else parts
    form = b"".join(parts) + b"--B--\r\n"
    for place, length, put in draw(st.lists(edit, max_size=2)):
        at = int(place * len(form))
        form = form[:at] + put + form[at + length :]
    cut = int(draw(st.floats(0, 1)) * len(form))
    return form[:cut], form[cut:]


class Uploads(OneServer):
    """A server that takes uploads: what was uploaded before is still there."""

    def kept(self) -> list[Snapshot]:
        """Return what was uploaded, the last first."""
        return self.do(ListUploads(ACCOUNT, "shop", 10_000))

    def files(self, row: int) -> dict[str, bytes]:
        """Return the files of an upload as they lie in a folder, having looked that nothing lies beside it."""
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place, "a", "b", "code")
            folder.parent.mkdir(parents=True)
            files = self.do(ReadSnapshotFiles(row))
            snapshots.lay_out(files, folder)
            found = [path for path in Path(place).rglob("*") if not path.is_dir()]
            assert all(path.is_relative_to(folder) and not path.is_symlink() for path in found)
            return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def uploads() -> Iterator[Uploads]:
    """A server."""
    uploads = Uploads(told=Settings(snapshot_size=MOST))
    yield uploads
    uploads.close()


def _look(uploads: Uploads, form: tuple[bytes, ...], media_type: str) -> None:
    before = uploads.kept()

    answer = uploads.ask(SCRIPT, "PUT", form, [("content-type", media_type)])

    if answer.status != 200:
        status, _, message = answer.refusal()
        assert status in {400, 413}
        assert 0 < len(message) < LONGEST_MESSAGE
        assert uploads.kept() == before
        return
    last = next(one for one in uploads.kept() if one.sha256 == answer.json()["result"]["etag"])
    files = uploads.files(last.row)
    assert "shop.py" in files
    assert all(body in b"".join(form) or path == "wrangler.json" for path, body in files.items())
    id = answer.json()["result"]["deployment_id"]
    assert uploads.ask(f"{SCRIPT}/versions/{id}").status == 200


def _form(*files: tuple[str, bytes], metadata: bytes = b'{"main_module": "shop.py"}') -> tuple[bytes, ...]:
    parts = [_part("metadata", None, metadata), *(_part(name, name, body) for name, body in files)]
    return (b"".join(parts) + b"--B--\r\n",)


PLAIN = "multipart/form-data; boundary=B"
SHOP = ("shop.py", b"")


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(forms(), media_type)
@example(_form(SHOP, metadata=b'{"main_module": "+2AA-"}'), f"{PLAIN}; charset=utf-7")
@example(_form(SHOP), f"{PLAIN}; charset=a\0b")
@example(_form(SHOP, ("a.whl", _archive())), PLAIN)
@example(_form(SHOP, ("wrangler.json", CONFIGS[0])), PLAIN)
@example(_form(SHOP, ("wrangler.json", CONFIGS[2])), PLAIN)
@example(_form(SHOP, ("wrangler.json", CONFIGS[5])), PLAIN)
@example(_form(SHOP, ("wrangler.toml", CONFIGS[6])), PLAIN)
@example(_form(SHOP, ("wrangler.toml", CONFIGS[8])), PLAIN)
def test_form_is_taken_as_it_is_or_leaves_nothing(uploads: Uploads, form: tuple[bytes, ...], media_type: str) -> None:
    """A refusal is a 4xx with a reason; what is taken lies below its folder, is what was sent, and can be asked for."""
    _look(uploads, form, media_type)


@pytest.mark.long
@pytest.mark.timeout(600)
@settings(max_examples=4_000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(forms(), media_type)
def test_form_is_taken_as_it_is_or_leaves_nothing_at_length(
    uploads: Uploads, form: tuple[bytes, ...], media_type: str
) -> None:
    """The same for many more forms."""
    _look(uploads, form, media_type)


@settings(max_examples=150)
@given(st.dictionaries(name, st.just(b"x"), max_size=5))
@example({"lib": b"x", "lib/a.py": b"x"})
@example({"lib/a/b.py": b"x", "lib/a": b"x"})
def test_paths_that_are_taken_lie_below_the_folder(files: dict[str, bytes]) -> None:
    """Each of them, on every system: no part is empty, hidden, a drive or leads up; none is another's folder."""
    try:
        taken = snapshots.of_files(files, ".", MOST)
    except ScriptError as refusal:
        message = str(refusal)
        assert message.endswith("; give paths such as flows/order.py, below the folder")
        assert message.isprintable()
        return

    paths = [Path("/folder", file.path) for file in taken.files]
    assert {file.path: file.body for file in taken.files} == files
    for file, path in zip(taken.files, paths, strict=True):
        assert path.relative_to("/folder").as_posix() == file.path
        assert not any(part.startswith(".") for part in file.path.split("/"))
        assert not {"\\", "\0", ":"} & set(file.path.split("/")[0])
        assert not any(path in other.parents for other in paths)
        assert len(file.path.encode()) <= 250
