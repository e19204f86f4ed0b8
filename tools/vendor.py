"""What `make vendor` does: brings the dashboard's libraries, as they are released, and holds them to their checksums.

`npm pack` takes the packages from the registry that npm has. Only what stands in a page is kept: modules, with
`preact` found by a relative address and without the name of a source map, and licences. `--update` writes new sums; do
so when a version below changes, and read what changed.
"""

import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
VENDOR = ROOT / "src" / "stepwell" / "dashboard" / "static" / "vendor"
SUMS = VENDOR / "SHA256SUMS"
PACKAGES = ("preact@11.2.0", "htm@3.1.1")
# What is kept, and where it lies in its package.
FILES = {
    "preact.js": ("preact", "package/dist/preact.mjs"),
    "hooks.js": ("preact", "package/hooks/dist/hooks.mjs"),
    "LICENSE-preact": ("preact", "package/LICENSE"),
    "htm.js": ("htm", "package/dist/htm.module.js"),
    "LICENSE-htm": ("htm", "package/LICENSE"),
}
_SOURCE_MAP = re.compile(rb"\n?//# sourceMappingURL=\S+\n?")


def main(arguments: list[str]) -> int:
    """Fetch, compare, write; return the exit code."""
    found = _fetch()
    sums = "".join(f"{hashlib.sha256(body).hexdigest()}  {name}\n" for name, body in sorted(found.items()))
    if "--update" not in arguments and SUMS.exists() and SUMS.read_text() != sums:
        print(f"{SUMS.relative_to(ROOT)} names other files than the registry has:\n{sums}", file=sys.stderr)
        return 1
    VENDOR.mkdir(parents=True, exist_ok=True)
    for name, body in found.items():
        (VENDOR / name).write_bytes(body)
    SUMS.write_text(sums)
    print(f"{', '.join(PACKAGES)} lie in {VENDOR.relative_to(ROOT)}")
    return 0


def _fetch() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", *PACKAGES], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        archives = {package.partition("@")[0]: _archive(Path(folder), package) for package in PACKAGES}
        return {name: _read(archives[package], path) for name, (package, path) in FILES.items()}


def _archive(folder: Path, package: str) -> Path:
    return folder / f"{package.replace('@', '-')}.tgz"


def _read(archive: Path, path: str) -> bytes:
    with tarfile.open(archive) as opened:
        member = opened.extractfile(path)
        if member is None:
            raise SystemExit(f"{archive.name} has no file {path}; see what its new version is made of")
        body = member.read().replace(b'from"preact"', b'from"./preact.js"')
    return _SOURCE_MAP.sub(b"", body)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
