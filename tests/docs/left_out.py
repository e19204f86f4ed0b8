"""What tests/docs/test_snippets.py leaves out: the page or its folder, how the block or the command begins, and why.

A reason that names a test says that it is looked at there. An entry that matches nothing any more fails.
"""

LEFT_OUT: tuple[tuple[str, str, str], ...] = (
    ("README.md", "from cloudflare import", "tests/docs/test_readme.py runs it against a server"),
    ("docs/checks.md", "", "tests/checks/test_checks.py holds each against its rule"),
    ("docs/cli.md", "$ stepwell workflows compare", "shows a difference whose ids are made up"),
    ("docs/cli.md", "$ stepwell instances terminate", "asks a person, who has not answered yet"),
    ("docs/cli.md", "error: https://api.cloudflare.com", "tests/cli/test_cloudflare.py has the message"),
    ("docs/client.md", "", "tests/docs/test_client.py runs them one after another"),
    ("docs/deploying.md", "3 instances of shop", "shows what is found of instances that are made up"),
    ("docs/graphs.md", "import asyncio", "is read and never run: tests/docs/test_graphs.py"),
    ("docs/graphs.md", "Order  payload", "tests/docs/test_graphs.py has it drawn"),
    ("docs/guides/ai-agents.md", "# a", "tests/docs/test_ai_agents.py runs both"),
    ("docs/guides/migrate-celery.md", "# tasks.py", "is for Celery, which is not installed here"),
    (
        "docs/guides/migrate-cloudflare.md",
        "import {",
        "TypeScript, run by hand in the versions that the page names",
    ),
    ("docs/guides/migrate-dbos.md", "# carry.py", "asks DBOS, which is not installed here"),
    ("docs/guides/migrate-dbos.md", "# dbos_checkout.py", "is for DBOS, which is not installed here"),
    ("docs/guides/migrate-temporal.md", "# carry.py", "asks Temporal, which is not installed here"),
    ("docs/guides/migrate-temporal.md", "# temporal_transfer.py", "is for Temporal, which is not installed here"),
    ("docs/internals.md", "", "tests/docs/test_internals.py asks a store"),
    ("docs/operating.md", "histogram_quantile(", "tests/deploy/test_boards.py asks promtool"),
    ("docs/operating.md", "max(", "tests/deploy/test_boards.py asks promtool"),
    ("docs/operating.md", "sum by", "tests/deploy/test_boards.py asks promtool"),
    ("docs/operating.md", "topk(", "tests/deploy/test_boards.py asks promtool"),
    ("docs/reference/", "", "is made from the code: tests/docs/test_reference.py and tests/docs/test_client.py"),
    ("docs/schedules.md", "[[workflows]]", "tests/docs/test_schedules.py reads it"),
    ("docs/schedules.md", "from stepwell", "tests/docs/test_schedules.py has it fire"),
    ("docs/settings.md", "stepwell serve app --config", "names a file of the reader's server"),
    ("docs/start.md", "", "tests/docs/test_start.py types it"),
    ("docs/testing-replay.md", "# flows.py", "tests/docs/test_testing_replay.py runs it"),
    ("docs/testing-replay.md", "# test_flows.py", "tests/docs/test_testing_replay.py runs it"),
    ("docs/testing-replay.md", "# reports.py", "tests/docs/test_testing_replay.py has it found"),
    ("docs/testing-replay.md", 'report "7" is', "tests/docs/test_testing_replay.py has it found"),
    ("docs/testing-replay.md", "With a crash", "tests/docs/test_testing_replay.py knows who says it"),
    ("docs/testing.md", "stepwell.errors.kit.", "tests/testing/test_waiting.py has the messages, in one line each"),
    ("docs/webhooks.md", "import os", "tests/docs/test_webhooks.py sends it messages"),
)
