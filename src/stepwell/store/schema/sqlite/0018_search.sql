-- What instances are found by, beside status and creation. No index has a column that a commit of a step changes.
create index instances_by_version on instances (workflow, version, created_at);
create index instances_by_trigger on instances (workflow, trigger, created_at);
create index instances_by_end on instances (workflow, ended_at) where ended_at is not null;
create index instances_by_duration on instances (workflow, (ended_at - started_at)) where ended_at is not null;

-- labelled: how many calls of the code that set labels are here already; a replay makes them again.
alter table instances add column labelled integer not null default 0;

-- given: the value at the creation, null: it had none of this name. value: what it is now; null: the code took it away.
-- workflow and created_at are those of the instance.
create table labels (
    instance integer not null,
    name text not null,
    value text,
    given text,
    workflow integer not null,
    created_at integer not null,
    primary key (instance, name)
) strict, without rowid;

create index labels_by_value on labels (workflow, name, value, created_at, instance);

-- The errors of instances that are errored, as their last records have them.
create table errors (
    instance integer primary key,
    workflow integer not null,
    created_at integer not null,
    name text not null,
    message text not null
) strict;

create index errors_by_name on errors (workflow, name, created_at, instance);

insert into errors (instance, workflow, created_at, name, message)
select i.row, i.workflow, i.created_at,
    coalesce(json_extract(r.body, '$.error.name'), ''),
    coalesce(json_extract(r.body, '$.error.message'), '')
from instances as i
join records as r on r.instance = i.row and r.seq = i.seq
where i.status = 'errored'
    and r.kind = 'failed';
