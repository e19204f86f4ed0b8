-- Row numbers are never used again after a delete: they are part of the fence (row, turn).
-- Names and columns are those of the SQLite schema; see there what each is for.
-- "C": order and equality are those of the bytes, as in SQLite, whatever the database's locale.

create table workflows (
    row bigint generated always as identity primary key,
    id text collate "C" not null unique,
    account text collate "C" not null,
    name text collate "C" not null,
    script text collate "C" not null,
    class_name text collate "C" not null,
    version text collate "C" not null,
    created_at bigint not null,
    modified_at bigint not null,
    triggered_at bigint,
    snapshot bigint not null default 0,
    unique (account, name)
);

create table versions (
    row bigint generated always as identity primary key,
    id text collate "C" not null unique,
    account text collate "C" not null,
    workflow bigint not null,
    script text collate "C" not null,
    class_name text collate "C" not null,
    sha256 text collate "C" not null,
    created_at bigint not null,
    params_schema text,
    step_limit bigint,
    settings text not null default '{}',
    declared text,
    snapshot bigint not null default 0
);

create index versions_by_workflow on versions (workflow, row);

create table scripts (
    account text collate "C" not null,
    name text collate "C" not null,
    class_name text collate "C" not null,
    sha256 text collate "C" not null,
    params_schema text,
    snapshot bigint not null default 0,
    primary key (account, name, class_name)
);

create table deleted_workflows (
    row bigint primary key
);

-- A store that is open, somewhere. It renews its lease by this database's clock; when that is over, so are the leases
-- of its workers. They live again if it comes back.
create table hosts (
    row bigint generated always as identity primary key,
    name text not null,
    lease_until bigint not null
) with (fillfactor = 50);

-- A lease_until of 0 is a lease that has been ended; it can never be renewed.
create table workers (
    row bigint generated always as identity primary key,
    name text not null,
    lease_until bigint not null,
    created_at bigint not null,
    snapshot bigint not null default 0,
    blocked_since bigint,
    blocked_stack text,
    host bigint not null
) with (fillfactor = 80);

create index workers_by_host on workers (host);

create view leases as
select
    w.row,
    w.name,
    w.snapshot,
    w.blocked_since,
    w.blocked_stack,
    case
        when h.lease_until > cast(extract(epoch from clock_timestamp()) * 1000 as bigint) then w.lease_until
        else 0
    end as lease_until
from workers as w
left join hosts as h on h.row = w.host;

-- The hot row: each step changes it, and no column that an index has. So the new version goes beside the old one (a
-- HOT update), for which each page keeps room.
create table instances (
    row bigint generated always as identity primary key,
    workflow bigint not null,
    due_at bigint,
    queued_at bigint,
    turn bigint not null default 0,
    n bigint not null default 0,
    owner bigint,
    seq bigint not null,
    step_count bigint not null default 0,
    lost_turns bigint not null default 0,
    created_at bigint not null,
    modified_at bigint not null,
    started_at bigint,
    ended_at bigint,
    renewed_at bigint,
    restarted_seq bigint not null default 0,
    has_rollbacks bigint not null default 0,
    awaited bigint not null default 0,
    logged bigint not null default 0,
    log_n bigint not null default 0,
    snapshot bigint not null default 0,
    tx bigint not null,
    account text collate "C" not null,
    id text collate "C" not null,
    version text collate "C" not null,
    status text collate "C" not null,
    trigger text collate "C" not null,
    unique (workflow, id)
) with (
    fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 500,
    autovacuum_analyze_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 1
);

create index instances_due on instances (snapshot, due_at) where due_at is not null;
create index instances_held on instances (owner) where owner is not null;
create index instances_by_creation on instances (workflow, created_at);
create index instances_by_status on instances (workflow, status, created_at);

-- Only ever added to. Vacuumed after inserts all the same, so that old pages are frozen bit by bit and not all at once.
create table records (
    instance bigint not null,
    seq bigint not null,
    turn bigint not null,
    n bigint not null,
    at bigint not null,
    payload bigint,
    size bigint not null default 0,
    crc bigint not null,
    tx bigint not null,
    kind text collate "C" not null,
    body text not null,
    value text,
    primary key (instance, seq)
) with (autovacuum_vacuum_insert_scale_factor = 0.05);

create table payloads (
    row bigint generated always as identity primary key,
    instance bigint not null,
    crc bigint not null,
    body text not null
) with (autovacuum_vacuum_insert_scale_factor = 0.05);

create table log_lines (
    instance bigint not null,
    n bigint not null,
    at bigint not null,
    attempt bigint,
    step text,
    level text not null,
    body text not null,
    primary key (instance, n)
);

create table notes (
    instance bigint not null,
    name text collate "C" not null,
    at bigint not null,
    value text not null,
    primary key (instance, name)
) with (fillfactor = 80);

create table children (
    child bigint not null,
    parent bigint not null,
    event_type text collate "C" not null,
    follows bigint not null,
    primary key (child, parent, event_type)
);

create index children_by_parent on children (parent, child);

create table streams (
    row bigint generated always as identity primary key,
    instance bigint not null,
    step text collate "C" not null,
    turn bigint not null,
    attempt bigint not null
);

create index streams_by_step on streams (instance, step);

create table pieces (
    row bigint generated always as identity primary key,
    stream bigint not null,
    n bigint not null,
    crc bigint not null,
    body bytea not null,
    unique (stream, n)
);

create table terminations (
    workflow bigint primary key,
    statuses text not null,
    upto bigint not null
);

create table account_settings (
    account text collate "C" primary key,
    success_retention_ms bigint,
    error_retention_ms bigint
);

create table event_triggers (
    account text collate "C" not null,
    script text collate "C" not null,
    triggers text not null,
    modified_at bigint not null,
    primary key (account, script)
);

create table tokens (
    row bigint generated always as identity primary key,
    id text collate "C" not null unique,
    account text collate "C" not null,
    name text not null,
    hash text collate "C" not null,
    email text,
    permissions text not null,
    created_at bigint not null,
    expires_at bigint,
    revoked_at bigint
);

create index tokens_by_account on tokens (account, created_at);

create table idempotency_keys (
    row bigint generated always as identity primary key,
    account text collate "C" not null,
    key text collate "C" not null,
    request text collate "C" not null,
    answer bytea not null,
    at bigint not null,
    workflow bigint,
    unique (account, key)
);

create index idempotency_keys_by_age on idempotency_keys (at);

create table snapshots (
    row bigint generated always as identity primary key,
    account text collate "C" not null,
    sha256 text collate "C" not null,
    source text not null,
    python text not null,
    packages text not null,
    created_at bigint not null,
    served_at bigint not null,
    unique (account, sha256)
);

create table snapshot_files (
    snapshot bigint not null,
    path text collate "C" not null,
    body bytea not null,
    crc bigint not null,
    primary key (snapshot, path)
);
