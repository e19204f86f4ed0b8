"""The keys of a store that is encrypted, held against those that it was written with."""

import os
from collections.abc import Iterator

from stepwell.cli.doctor.finding import Finding, fault, ok
from stepwell.errors import InvalidInput, StoreError
from stepwell.sealing import KEYS, vault_of
from stepwell.store.sql.rows import Connection
from stepwell.store.sql.sealed import check_keys


def look_at_keys(connection: Connection) -> Iterator[Finding]:
    """Yield whether payloads can be read with the keys of the environment, which the connection has from now on.

    Nothing is said of a store that is not encrypted where there are no keys.
    """
    try:
        connection.vault = vault = vault_of(os.environ)
        known = check_keys(connection)
    except InvalidInput as error:
        yield fault("encryption", str(error), "no server starts with it")
    except StoreError as error:
        yield fault("encryption", str(error), f"set {KEYS} as the server has it")
    else:
        if vault is not None:
            missing = [name for name in known if name not in vault.names]
            others = f"; not here: {', '.join(missing)}, whose payloads cannot be read" if missing else ""
            yield ok("encryption", f"payloads are sealed with the key {vault.newest}{others}")
