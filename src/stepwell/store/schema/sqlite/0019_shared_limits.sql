-- A limit that steps of an account share, by its name. declared: JSON, what code says of it; given: what somebody has
-- said since, which wins; both null: nothing yet, and nobody has a slot. held: how many slots are taken; started: how
-- many have been given.
create table shared_limits (
    row integer primary key autoincrement,
    account text not null,
    name text not null,
    declared text,
    given text,
    held integer not null default 0,
    started integer not null default 0,
    unique (account, name)
) strict;

-- The steps (JSON: kind, name, count) of instances that have a slot, or wait for one. since: when it was asked for;
-- turn: in which it was asked for last; start_at: when its attempt may begin, null: it waits; has_begun: that turn knows
-- so, and the attempt counts as begun.
create table shared_slots (
    instance integer not null,
    step text not null,
    shared_limit integer not null,
    since integer not null,
    turn integer not null,
    start_at integer,
    has_begun integer not null default 0,
    primary key (instance, step)
) strict, without rowid;

create index shared_slots_waiting on shared_slots (shared_limit, since, instance, step) where start_at is null;
create index shared_slots_given on shared_slots (shared_limit, start_at, instance, step) where start_at is not null;

-- When the last slots began, as many as a rate counts.
create table shared_starts (
    shared_limit integer not null,
    n integer not null,
    at integer not null,
    primary key (shared_limit, n)
) strict, without rowid;
