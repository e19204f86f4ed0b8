-- What an instance says beside its history: the lines that its code logs and prints, and its latest notes.
-- logged: how much of what `run` itself says is here already; a replay says it again, and is not heard.
-- log_n: the number of the last line.
alter table instances add column logged integer not null default 0;
alter table instances add column log_n integer not null default 0;

create table log_lines (
    instance integer not null,
    n integer not null,
    at integer not null,
    step text,
    attempt integer,
    level text not null,
    body text not null,
    primary key (instance, n)
) strict, without rowid;

-- The latest value under each name: how far the instance is, what a step's last heartbeat said.
create table notes (
    instance integer not null,
    name text not null,
    at integer not null,
    value text not null,
    primary key (instance, name)
) strict, without rowid;

-- The JSON Schema of a workflow's params; null: any JSON.
alter table versions add column params_schema text;
