"""docs/mcp.md: each tool, and configurations that can be read."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from stepwell.cli.mcp import texts
from stepwell.cli.mcp.serving import made
from tests.docs.snippets import shown

PAGE = Path("docs/mcp.md").read_text("utf-8")
SERVERS = ("mcpServers", "servers")


def _offered(*, controls: bool) -> dict[str, bool]:
    """Return the names of tools, each with whether it says that it is destructive."""
    server = made({"url": "http://127.0.0.1:1", "account": None, "profile": None}, controls=controls)
    tools = asyncio.run(server.list_tools())
    return {tool.name: bool(tool.annotations and tool.annotations.destructive_hint) for tool in tools}


def _rows(heading: str) -> list[tuple[str, bool]]:
    part = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [(name, "| destructive |" in row) for row, name in re.findall(r"^(\| `(\w+)` \|.*)$", part, re.MULTILINE)]


@pytest.fixture(autouse=True)
def _no_settings_of_the_tester(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def test_page_has_each_tool_and_no_other() -> None:
    """In the order in which they are offered, and with what cannot be undone."""
    read = _offered(controls=False)
    every = _offered(controls=True)

    assert _rows("Tools that read") == [*read.items()]
    assert _rows("Tools that control") == [tool for tool in every.items() if tool[0] not in read]
    assert f"at most {texts.ANSWER_CHARACTERS:,} characters" in PAGE


def test_configurations_of_the_page_start_the_command() -> None:
    """Each is JSON that a program can read."""
    blocks = [json.loads(block) for block in shown("docs/mcp.md", "json")]

    started = [block[name]["stepwell"] for block in blocks for name in SERVERS if name in block]
    assert [(one["command"], one["args"]) for one in started] == [("stepwell", ["mcp"])] * 2
