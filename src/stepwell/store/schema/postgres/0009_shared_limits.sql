-- Names and columns are those of the SQLite schema; see there what each is for.

create table shared_limits (
    row bigint generated always as identity primary key,
    account text collate "C" not null,
    name text collate "C" not null,
    declared text,
    given text,
    held bigint not null default 0,
    started bigint not null default 0,
    unique (account, name)
) with (fillfactor = 50);

create table shared_slots (
    instance bigint not null,
    step text collate "C" not null,
    shared_limit bigint not null,
    since bigint not null,
    turn bigint not null,
    start_at bigint,
    has_begun bigint not null default 0,
    primary key (instance, step)
);

create index shared_slots_waiting on shared_slots (shared_limit, since, instance, step) where start_at is null;
create index shared_slots_given on shared_slots (shared_limit, start_at, instance, step) where start_at is not null;

create table shared_starts (
    shared_limit bigint not null,
    n bigint not null,
    at bigint not null,
    primary key (shared_limit, n)
);
