"""The parts of a path that name something: decoded, and checked against the rules for names.

Source of the rules: developers.cloudflare.com/workflows/reference/limits/
"""

import re
from collections.abc import Callable, Mapping
from urllib.parse import unquote_to_bytes

from stepwell import limits
from stepwell.api.refusals import invalid

_BROKEN_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)


def decode(raw: Mapping[str, str]) -> dict[str, str]:
    """Return the decoded parts of a path, by name. Raises InvalidInput for one that breaks its rule."""
    parts = {name: _unescape(name, text) for name, text in raw.items()}
    for name, part in parts.items():
        is_valid, rule = _RULES.get(name, _NO_RULE)
        if not is_valid(part):
            raise invalid(name, f'{name} "{part:.300}" in the path must be {rule}')
    return parts


def _unescape(name: str, text: str) -> str:
    if "%" not in text and text.isascii():
        return text
    if _BROKEN_ESCAPE.search(text):
        raise invalid(name, f'{name} "{text:.300}" in the path has a % without two hexadecimal digits after it')
    try:
        return unquote_to_bytes(text.encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise invalid(name, f'{name} "{text:.300}" in the path is not UTF-8 once it is unescaped') from None


_NO_RULE: tuple[Callable[[str], bool], str] = (lambda _: True, "")
_RULES: dict[str, tuple[Callable[[str], bool], str]] = {
    "account_id": (
        limits.is_account,
        limits.ACCOUNT_RULE,
    ),
    "workflow_name": (
        limits.is_workflow_name,
        f"1 to {limits.WORKFLOW_NAME_LENGTH} {limits.NAME_RULE}",
    ),
    "version_id": (
        lambda version: _UUID.fullmatch(version) is not None,
        "a UUID, such as a version's `id` or an instance's `version_id`",
    ),
    "job_id": (
        lambda job: _UUID.fullmatch(job) is not None,
        "a UUID, such as a job's `id`",
    ),
    "script_name": (
        lambda script: 1 <= len(script) <= limits.SCRIPT_NAME_LENGTH and script.isprintable(),
        f"1 to {limits.SCRIPT_NAME_LENGTH} printable characters",
    ),
    "cron": (limits.is_cron, f"1 to {limits.CRON_LENGTH} letters, digits, spaces and any of , * / # -"),
    "limit_name": (limits.is_limit_name, limits.LIMIT_NAME_RULE),
    "instance_id": (limits.is_addressed_instance_id, limits.ADDRESSED_INSTANCE_ID_RULE),
}
