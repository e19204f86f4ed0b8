"""Limits and name rules, each with its public source.

Source, unless said otherwise: developers.cloudflare.com/workflows/reference/limits/
"""

import re

from stepwell.durations import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

WORKFLOW_NAME_LENGTH = 64
INSTANCE_ID_LENGTH = 100
# A cron instance is called `<cron>-<ms>`: 256 characters of cron, a dash, 14 digits.
ADDRESSED_INSTANCE_ID_LENGTH = 271
ADDRESSED_INSTANCE_ID_RULE = f"1 to {ADDRESSED_INSTANCE_ID_LENGTH} letters, digits, spaces and any of , * / # _ -"
EVENT_TYPE_LENGTH = 100
# Source: developers.cloudflare.com/api/resources/workflows/subresources/instances/methods/bulk/
BATCH_INSTANCES = 100
STEP_NAME_LENGTH = 256
# A log shows a name with the count of its step behind it.
LOGGED_NAME_LENGTH = STEP_NAME_LENGTH + 20
STEPS_PER_INSTANCE = 10_000
# What `limits.steps` of a workflow may raise it to.
MOST_STEPS_PER_INSTANCE = 25_000
RETRIES_PER_STEP = 10_000
CRON_LENGTH = 256
SCHEDULES_PER_ACCOUNT = 100
# Of one workflow, that wait for a slot, or a worker.
QUEUED_INSTANCES = 2_000_000
# Ours: no limit of what runs at a time, or starts in a period, is higher.
MOST_CONCURRENCY = 1_000_000
PAYLOAD_BYTES = 2**20
STEP_RESULT_BYTES = 2**20
# Params, event payloads and results of steps, together: what Cloudflare's paid plan has.
INSTANCE_BYTES = 10**9
# Of a stream that a step returns: what its code may give at a time.
# Source: developers.cloudflare.com/workflows/build/workers-api/#readablestream-return-values
STREAM_CHUNK_BYTES = 16 * 2**20
# Ours: it is stored in pieces of this size.
STREAM_PIECE_BYTES = 256 * 1024
# Source: developers.cloudflare.com/workers/platform/limits/#request-and-response-limits
FETCH_BODY_BYTES = 100 * 10**6
SLEEP_MS = 365 * DAY_MS
WAIT_MIN_MS = SECOND_MS
WAIT_MAX_MS = 365 * DAY_MS
# Source: developers.cloudflare.com/workflows/build/events-and-parameters/
WAIT_MS = 24 * HOUR_MS
# Source: developers.cloudflare.com/api/resources/workflows/methods/update/
SCRIPT_NAME_LENGTH = 255
CLASS_NAME_LENGTH = 255
# Ours: how old a firing may be that no server was there for; the last one that was missed is made up for.
CATCH_UP_MS = 7 * DAY_MS
# Where neither instance nor workflow nor account says otherwise.
RETENTION_MS = 7 * DAY_MS
# Ours: a retention is no longer than this, so that moments stay numbers that every JSON reader keeps exact.
MOST_RETENTION_MS = 36_500 * DAY_MS
# Ours: event triggers of a script, and targets of a trigger.
TRIGGERS_PER_SCRIPT = 100
# Ours: values nested deeper than this are refused, so that no decoder meets its recursion limit.
VALUE_DEPTH = 256
# Ours: a value of up to this many bytes lies in its record; a larger one lies apart and is read when delivered.
INLINE_VALUE_BYTES = 4096
# Step outputs in the instance log are cut here; `GET .../step` has the whole. Seen in Cloudflare's answers.
LOG_OUTPUT_CHARACTERS = 1024
# Ours: how long the end of a child is awaited.
CHILD_MS = 36_500 * DAY_MS
# Ours: a wait that is longer puts the instance back into the store; so long may code wait for what is no step.
HIBERNATE_AFTER_MS = SECOND_MS
FOREIGN_WAIT_MS = 5 * MINUTE_MS
# Ours: turns that may be lost in a row, without any outcome recorded, before the instance is given up.
LOST_TURNS = 10
# Ours: how much of what code prints and logs is kept: lines of an instance, lines and characters of an attempt,
# characters of a line, and of a traceback.
LOG_LINES = 10_000
ATTEMPT_LINES = 1_000
ATTEMPT_CHARACTERS = 64 * 1024
LINE_CHARACTERS = 8_192
TRACE_CHARACTERS = 16 * 1024
# Ours: how many callers may follow what instances say, or what happens to them, at a time.
LOG_STREAMS = 100
# Ours: how much code a snapshot may have, how many workers there are at a time for instances that stay on earlier code,
# and how long one of those that has nothing to do stays.
SNAPSHOT_BYTES = 64 * 2**20
PINNED_WORKERS = 4
PINNED_IDLE_MS = MINUTE_MS
# Ours: how long attempts in flight may go on when their worker is to stop; when a worker that does not answer is named
# in the log, and when it is killed and replaced.
GRACE_MS = 5 * SECOND_MS
BLOCKED_AFTER_MS = 1_500
STUCK_AFTER_MS = 5 * MINUTE_MS
# Ours: how long a host that says nothing is believed alive. What it held is claimed by others then.
HOST_LEASE_MS = 8 * SECOND_MS
# Ours: how long a list may take to be read.
PAGE_TIMEOUT_MS = 10 * SECOND_MS

# Ours: workflows, and steps of all workflows and of one, that have series of their own in `/metrics`.
METRICS_WORKFLOWS = 200
METRICS_STEPS = 500
METRICS_STEPS_OF_WORKFLOW = 50

# Ours: labels that an instance is given, and names of labels that its code sets; how long their names and values are,
# and how many may be searched for at once.
LABELS = 16
LABEL_NAME_LENGTH = 64
LABEL_VALUE_LENGTH = 256
# Ours: how many attributes an attempt has; their names and texts are as those of labels.
ATTRIBUTES = 32
# Ours: how long the name of a limit is that steps share.
LIMIT_NAME_LENGTH = 64
# Ours: how long a search looks for more before it answers with what it has found; how much of an error's message may be
# searched for.
SEARCH_MS = 10
SEARCHED_TEXT_LENGTH = 256

# Ours: how long an Idempotency-Key stands for its request, and how long it may be.
IDEMPOTENCY_KEY_MS = DAY_MS
IDEMPOTENCY_KEY_LENGTH = 255
# Ours: how many webhooks an account may have, as each event looks at all of them; how long what they were sent is kept.
WEBHOOKS_PER_ACCOUNT = 50
DELIVERY_RETENTION_MS = 7 * DAY_MS
# Ours: how long entries of the audit log are kept: a year, and then some.
AUDIT_RETENTION_MS = 400 * DAY_MS
# Ours: how many facts of the servers' logs are kept for pages.
FACTS = 10_000
# How long a session of the dashboard lasts where nobody has a page open, and in any case: as NIST has it for its second
# level. Source: pages.nist.gov/800-63-4/sp800-63b.html, 2.2.3
SESSION_IDLE_MS = HOUR_MS
SESSION_LIFETIME_MS = DAY_MS
# Ours: how many sessions a token may have; one more ends that which was used longest ago.
SESSIONS_PER_TOKEN = 100
# Ours: how long a request may wait for a change of an instance, and how many may do so at a time.
LONGEST_POLL_MS = MINUTE_MS
WAITING_REQUESTS = 1_000
# Requests at once where their rate is limited: as many as a token has at Cloudflare in five minutes, an address in a
# second. Source: developers.cloudflare.com/fundamentals/api/reference/limits/
REQUEST_BURST_OF_TOKEN = 1_200
REQUEST_BURST_OF_ADDRESS = 200
# Ours: how much memory answers about instances may take that are kept while nothing changes: there is room for about a
# thousand instances of 100 steps.
KEPT_ANSWERS_BYTES = 32 * 2**20

ACCOUNT_RULE = "1 to 64 letters, digits, - and _"
NAME_RULE = "letters, digits, - and _, not starting with -"
LABEL_NAME_RULE = f"1 to {LABEL_NAME_LENGTH} letters, digits and any of - _ . /, not starting with - . /"
LIMIT_NAME_RULE = f"1 to {LIMIT_NAME_LENGTH} letters, digits and any of - _ . :, not starting with - . :"
LABEL_VALUE_RULE = f"a text of 1 to {LABEL_VALUE_LENGTH} characters, none of which controls how text is shown"

_NAME = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9-_]*", re.ASCII)
_ACCOUNT = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_ADDRESSED_ID = re.compile(r"[a-zA-Z0-9, */#_-]+", re.ASCII)
_CRON = re.compile(r"[a-zA-Z0-9, */#-]+", re.ASCII)
_RESERVED_ID = re.compile(r"cf_[0-9a-f]{64}", re.ASCII)
_RESERVED_IDS = frozenset({"batch", "terminate", "terminateAll"})
# Control characters, and lone surrogates, which no store can hold.
_NOT_IN_STEP_NAMES = re.compile("[\x00-\x1f\ud800-\udfff]")
_LABEL_NAME = re.compile(rf"[a-zA-Z0-9_][a-zA-Z0-9_./-]{{0,{LABEL_NAME_LENGTH - 1}}}", re.ASCII)
_LIMIT_NAME = re.compile(rf"[a-zA-Z0-9_][a-zA-Z0-9_.:-]{{0,{LIMIT_NAME_LENGTH - 1}}}", re.ASCII)
# What a terminal or a page would obey: controls, breaks of lines, and what turns the direction of the text behind it.
# Surrogates are no characters.
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def is_account(account: str) -> bool:
    """Tell whether an account may have this id."""
    return _ACCOUNT.fullmatch(account) is not None


def is_workflow_name(name: str) -> bool:
    """Tell whether a workflow may be called this."""
    return len(name) <= WORKFLOW_NAME_LENGTH and _NAME.fullmatch(name) is not None


def is_new_instance_id(instance: str) -> bool:
    """Tell whether a user may give an instance this id. Reserved ids are not available."""
    return (
        len(instance) <= INSTANCE_ID_LENGTH
        and _NAME.fullmatch(instance) is not None
        and _RESERVED_ID.fullmatch(instance) is None
        and instance not in _RESERVED_IDS
    )


def is_addressed_instance_id(instance: str) -> bool:
    """Tell whether an existing instance can have this id; ids of cron instances use a wider alphabet."""
    return len(instance) <= ADDRESSED_INSTANCE_ID_LENGTH and _ADDRESSED_ID.fullmatch(instance) is not None


def is_cron(text: str) -> bool:
    """Tell whether a cron expression may have these characters; whether it is right is not said."""
    return len(text) <= CRON_LENGTH and _CRON.fullmatch(text) is not None


def is_event_type(event_type: object) -> bool:
    """Tell whether an event may have this type. A dot is not allowed."""
    return (
        isinstance(event_type, str) and len(event_type) <= EVENT_TYPE_LENGTH and _NAME.fullmatch(event_type) is not None
    )


def is_step_name(name: object) -> bool:
    """Tell whether a step may be called this: any text without control characters, up to 256 characters."""
    return isinstance(name, str) and len(name) <= STEP_NAME_LENGTH and _NOT_IN_STEP_NAMES.search(name) is None


def is_label_name(name: object) -> bool:
    """Tell whether a label may be called this."""
    return isinstance(name, str) and _LABEL_NAME.fullmatch(name) is not None


def is_label_value(value: object) -> bool:
    """Tell whether a label may have this value."""
    return isinstance(value, str) and 1 <= len(value) <= LABEL_VALUE_LENGTH and _UNSHOWN.search(value) is None


def is_limit_name(name: object) -> bool:
    """Tell whether a limit that steps share may be called this."""
    return isinstance(name, str) and _LIMIT_NAME.fullmatch(name) is not None
