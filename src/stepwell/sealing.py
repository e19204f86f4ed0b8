"""Payloads as they lie in a store that is encrypted.

Each is sealed alone, by AES-256-GCM with a random nonce, under a key that is made of one of the store's keys for its
instance (HMAC-SHA256 over account and row, as HKDF-Expand has it, RFC 5869): so no key seals more than one instance's
payloads, and 2^32 random nonces (NIST SP 800-38D, 8.3) are enough for any. What says where a payload lies is sealed
with it: one that lies elsewhere does not open.

A sealed text says by what it was sealed: `sealed:1:NAME:BASE64`, the nonce first. No JSON begins so.
"""

import hmac
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from stepwell.errors import InvalidInput, StoreError

# Where the keys are: themselves, or a file of them. Whoever has a store open looks here, and hands them on to nobody.
KEYS = "STEPWELL_ENCRYPTION_KEYS"
KEYS_FILE = "STEPWELL_ENCRYPTION_KEYS_FILE"
MARK = "sealed:1:"
KEY_BYTES = 32
_NAME_CHARACTERS = 64
_NONCE_BYTES = 12
_PROOF = ("", 0, "proof")
# Of so many instances the keys are at hand.
_MOST_AT_HAND = 20_000


class NotOpened(Exception):
    """What is sealed is not what was sealed, or was sealed for another place."""


class Place(NamedTuple):
    """Where a payload lies: of which account and instance, and where there."""

    account: str
    row: int
    what: str


class Vault:
    """Keys by their names: the newest seals, each opens."""

    def __init__(self, keys: Sequence[tuple[str, bytes]], where: str = KEYS) -> None:
        """`keys`: the newest first; `where` they come from. Raises InvalidInput where they cannot be used."""
        if find_spec("cryptography") is None:
            raise InvalidInput(where, f"{where}: encryption needs a package more: pip install 'stepwell[encryption]'")
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - it is an extra
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - see above

        self.newest = keys[0][0]
        self._keys = dict(keys)
        self._cipher, self._invalid = AESGCM, InvalidTag
        self._ciphers: dict[tuple[str, str, int], Any] = {}

    @property
    def names(self) -> list[str]:
        """The names of the keys, the newest first."""
        return list(self._keys)

    def seal(self, place: Place, text: str) -> str:
        """Return a text as it is stored at a place."""
        sealed = self.seal_bytes(self.newest, place, text.encode())
        return f"{MARK}{self.newest}:{b64encode(sealed).decode()}"

    def open(self, place: Place, sealed: str) -> str:
        """Return the text that is sealed. Raises NotOpened, or StoreError where its key is not here."""
        name, _, body = sealed.removeprefix(MARK).partition(":")
        try:
            text = b64decode(body, validate=True)
        except ValueError as error:
            raise NotOpened from error
        return self.open_bytes(name, place, text).decode()

    def seal_bytes(self, name: str, place: Place, body: bytes) -> bytes:
        """Return bytes as they are stored at a place, under the key of a name."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed: bytes = self._of(name, place).encrypt(nonce, body, place.what.encode())
        return nonce + sealed

    def open_bytes(self, name: str, place: Place, sealed: bytes) -> bytes:
        """Return the bytes that are sealed under the key of a name. Raises as `open` does."""
        if name not in self._keys:
            raise lacking(name)
        try:
            nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
            body: bytes = self._of(name, place).decrypt(nonce, rest, place.what.encode())
        except (self._invalid, ValueError) as error:
            raise NotOpened from error
        return body

    def proof(self) -> str:
        """Return what only the newest key can have sealed."""
        return self.seal(Place(*_PROOF), self.newest)

    def check(self, name: str, proof: str) -> None:
        """Raise StoreError if the key of a name is not the one that has sealed a proof."""
        if name in self._keys:
            try:
                self.open(Place(*_PROOF), proof)
            except NotOpened:
                raise StoreError(
                    f'{KEYS}: the key "{name}" is not the one of this name that the store was written with: '
                    "give the right one, or another name to a new one"
                ) from None

    def _of(self, name: str, place: Place) -> Any:
        of = (name, place.account, place.row)
        cipher = self._ciphers.get(of)
        if cipher is None:
            if len(self._ciphers) >= _MOST_AT_HAND:
                self._ciphers.clear()
            told = f"stepwell\0{place.account}\0{place.row}".encode()
            cipher = self._ciphers[of] = self._cipher(hmac.digest(self._keys[name], told + b"\1", sha256))
        return cipher


def is_sealed(text: str) -> bool:
    """Tell whether a stored JSON text is sealed."""
    return text.startswith(MARK)


def key_of(sealed: str) -> str:
    """Return the name of the key that has sealed a text."""
    return sealed.removeprefix(MARK).partition(":")[0]


def vault_of(environment: Mapping[str, str]) -> Vault | None:
    """Return the keys that an environment names; None: none. Raises InvalidInput."""
    text, path = environment.get(KEYS, "").strip(), environment.get(KEYS_FILE, "")
    where = KEYS
    if not text and path:
        where = KEYS_FILE
        try:
            text = Path(path).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(KEYS_FILE, f"{KEYS_FILE}: {path} cannot be read: {error}") from None
        if not text:
            raise InvalidInput(KEYS_FILE, f"{KEYS_FILE}: {path} has no keys; {_HOW}")
    return Vault(_keys(text, where), where) if text else None


_HOW = (
    "give NAME:KEY, the newest first, with commas or lines between; "
    f"a key is {KEY_BYTES} bytes in base64: openssl rand -base64 {KEY_BYTES}"
)


def _keys(text: str, where: str) -> list[tuple[str, bytes]]:
    """Return names and keys. No error repeats what might be a key."""
    found: dict[str, bytes] = {}
    lines = (line.strip() for line in text.replace(",", "\n").splitlines())
    for number, line in enumerate((line for line in lines if line and not line.startswith("#")), 1):
        name, _, key = line.partition(":")
        name = name.strip()
        if not (0 < len(name) <= _NAME_CHARACTERS and all(c.isascii() and (c.isalnum() or c in "-_.") for c in name)):
            raise InvalidInput(where, f"{where}: entry {number} has no name of letters, digits, - _ and .; {_HOW}")
        try:
            body = b64decode(key.strip(), validate=True)
        except ValueError:
            body = b""
        if len(body) != KEY_BYTES:
            raise InvalidInput(where, f'{where}: the key "{name}" is not {KEY_BYTES} bytes in base64; {_HOW}')
        if name in found:
            raise InvalidInput(where, f'{where}: there are two keys "{name}": each has a name of its own')
        found[name] = body
    if not found:
        raise InvalidInput(where, f"{where}: there are no keys; {_HOW}")
    return list(found.items())


def lacking(name: str) -> StoreError:
    """Return what is raised where the key of a name is not here."""
    return StoreError(
        f'the store is encrypted: this is sealed with the key "{name:.{_NAME_CHARACTERS}}", which is not here. '
        f"Give it in {KEYS} or {KEYS_FILE}"
    )
