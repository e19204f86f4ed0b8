-- What instances are found by, beside status and creation. No index has a column that a commit of a step changes.
-- See SQLite's schema for what each is for.
create index instances_by_version on instances (workflow, version, created_at);
create index instances_by_trigger on instances (workflow, trigger, created_at);
create index instances_by_end on instances (workflow, ended_at) where ended_at is not null;
create index instances_by_duration on instances (workflow, (ended_at - started_at)) where ended_at is not null;

alter table instances add column labelled bigint not null default 0;

create table labels (
    instance bigint not null,
    workflow bigint not null,
    created_at bigint not null,
    name text collate "C" not null,
    value text collate "C",
    given text collate "C",
    primary key (instance, name)
);

create index labels_by_value on labels (workflow, name, value, created_at, instance);

create table errors (
    instance bigint primary key,
    workflow bigint not null,
    created_at bigint not null,
    name text collate "C" not null,
    message text not null
);

create index errors_by_name on errors (workflow, name, created_at, instance);

-- A text here cannot hold NUL: it is written as the rest of Stepwell writes it, behind the mark that stands for itself.
insert into errors (instance, workflow, created_at, name, message)
select i.row, i.workflow, i.created_at,
    coalesce(said.error ->> 'name', ''),
    coalesce(said.error ->> 'message', '')
from instances as i
join records as r on r.instance = i.row and r.seq = i.seq
cross join lateral (
    select cast(
        replace(replace(r.body, '\u001a', '\u001a1'), '\u0000', '\u001a0') as json
    ) -> 'error' as error
) as said
where i.status = 'errored'
    and r.kind = 'failed';
