-- What a version is besides its code. step_limit: null: the default. settings is JSON. declared is JSON too: what the
-- script's files said of it, so that what a PUT changed is told from what the files changed; null: only a PUT made it.
alter table versions add column step_limit integer;
alter table versions add column settings text not null default '{}';
alter table versions add column declared text;

update versions
set declared = json_object('script', script, 'class_name', class_name);

create index versions_by_workflow on versions (workflow, row);

-- The classes of scripts as workers have loaded them last. They outlive the workflows that are made of them.
create table scripts (
    account text not null,
    name text not null,
    class_name text not null,
    sha256 text not null,
    params_schema text,
    primary key (account, name, class_name)
) strict, without rowid;

insert into scripts (account, name, class_name, sha256, params_schema)
select account, script, class_name, sha256, params_schema
from (
    select w.account, w.script, w.class_name, v.sha256, v.params_schema, max(v.row)
    from workflows as w
    join versions as v on v.id = w.version
    group by w.account, w.script, w.class_name
);

-- Workflows that were deleted, until their instances are gone too: their rows are no longer among the workflows.
create table deleted_workflows (
    row integer primary key
) strict;

-- Stored and served. triggers: a JSON array.
create table account_settings (
    account text primary key,
    success_retention_ms integer,
    error_retention_ms integer
) strict, without rowid;

create table event_triggers (
    account text not null,
    script text not null,
    triggers text not null,
    modified_at integer not null,
    primary key (account, script)
) strict, without rowid;
