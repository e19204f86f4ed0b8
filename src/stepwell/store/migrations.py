"""The schema, as numbered SQL files and a table that tells which of them a store has.

A file that has been applied never changes; a change of the schema is another file.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from stepwell.errors import StoreDamaged, StoreTooNew


class Migration(Struct, frozen=True):
    """One numbered SQL file."""

    n: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """What the version table keeps, so that a changed file is noticed."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


class Applied(Struct, frozen=True):
    """A row of the version table."""

    n: int
    name: str
    sha256: str


def known(dialect: str) -> list[Migration]:
    """Return this program's migrations for a dialect (a folder beneath `schema`), in order."""
    folder = Path(__file__).parent / "schema" / dialect
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda f: f.name)
    return [Migration(int(file.name.split("_")[0]), file.name, file.read_text("utf-8")) for file in files]


def pending(applied: Sequence[Applied], migrations: Sequence[Migration], where: str) -> list[Migration]:
    """Return the migrations that a store still needs; `where` names the store in errors.

    Raises StoreTooNew if it has one that this program does not know, StoreDamaged if one is not the same.
    """
    files = {migration.n: migration for migration in migrations}
    for row in applied:
        if row.n not in files:
            raise StoreTooNew(
                f"{where} has schema {row.n} ({row.name}), this Stepwell knows schemas up to {max(files)}: "
                "it was written by a newer Stepwell; upgrade this one"
            )
        if row.sha256 != files[row.n].sha256:
            raise StoreDamaged(
                f"{where} has a schema {row.n} that is not this program's {files[row.n].name}: "
                "use the Stepwell that wrote it, or another store"
            )
    have = {row.n for row in applied}
    return [migration for migration in migrations if migration.n not in have]
