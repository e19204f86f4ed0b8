-- Row numbers are never used again after a delete: they are part of the fence (row, turn).

create table workflows (
    row integer primary key autoincrement,
    id text not null unique,
    account text not null,
    name text not null,
    script text not null,
    class_name text not null,
    version text not null,
    created_at integer not null,
    modified_at integer not null,
    triggered_at integer,
    unique (account, name)
) strict;

create table versions (
    row integer primary key autoincrement,
    id text not null unique,
    account text not null,
    workflow integer not null,
    script text not null,
    class_name text not null,
    sha256 text not null,
    created_at integer not null
) strict;

-- A lease_until of 0 is a lease that has been ended; it can never be renewed.
create table workers (
    row integer primary key autoincrement,
    name text not null,
    lease_until integer not null,
    created_at integer not null
) strict;

-- n numbers the records of the current turn; seq numbers all records of the instance.
create table instances (
    row integer primary key autoincrement,
    account text not null,
    workflow integer not null,
    id text not null,
    version text not null,
    status text not null,
    trigger text not null,
    due_at integer,
    queued_at integer,
    turn integer not null default 0,
    n integer not null default 0,
    owner integer,
    seq integer not null,
    step_count integer not null default 0,
    lost_turns integer not null default 0,
    created_at integer not null,
    modified_at integer not null,
    started_at integer,
    ended_at integer,
    tx integer not null,
    unique (workflow, id)
) strict;

-- No index has a column that a commit of a step changes: each one would cost every step a page.
create index instances_due on instances (due_at) where due_at is not null;
create index instances_held on instances (owner) where owner is not null;
create index instances_by_creation on instances (workflow, created_at);
create index instances_by_status on instances (workflow, status, created_at);

-- Records from outside have turn 0 and n 0. A value that lies apart leaves its first characters and its size here.
-- crc is over all columns before it: SQLite does not notice damage inside a value.
create table records (
    instance integer not null,
    seq integer not null,
    turn integer not null,
    n integer not null,
    kind text not null,
    at integer not null,
    body text not null,
    value text,
    payload integer,
    size integer not null default 0,
    crc integer not null,
    tx integer not null,
    primary key (instance, seq)
) strict, without rowid;

create table payloads (
    row integer primary key autoincrement,
    instance integer not null,
    body text not null,
    crc integer not null
) strict;

-- One row. Transactions have ascending numbers, so that a stream can go on from where it was; none has a number
-- above this one. Numbers are reserved many at a time: a page more in each commit would cost a lone step a tenth.
create table commits (
    reserved integer not null
) strict;

insert into commits (reserved)
values (0);
