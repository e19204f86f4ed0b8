-- When instances of a workflow are created by themselves: a row for each of its cron expressions.
-- next_at: when it fires next. Null: it is paused, or never fires; 0: that is still to be reckoned, which SQL cannot.
-- overlap: what becomes of a firing while an instance of an earlier one has not ended: allow, skip, cancel (the instance).
-- last_at, last_instance: the moment that the newest instance was for, and its row.
-- unfinished: rows of instances that had not ended at the last firing, as a JSON array.
-- skipped, skipped_at: how many firings were skipped, and the moment that the last of them was for.
create table schedules (
    workflow integer not null,
    cron text not null,
    time_zone text not null default 'UTC',
    overlap text not null default 'allow',
    paused_at integer,
    next_at integer,
    last_at integer,
    last_instance integer,
    unfinished text not null default '[]',
    skipped integer not null default 0,
    skipped_at integer,
    primary key (workflow, cron)
) strict, without rowid;

create index schedules_due on schedules (next_at) where next_at is not null;

-- They were stored before they had an effect.
insert into schedules (workflow, cron, next_at)
select distinct w.row, s.value, 0
from workflows as w
join versions as v on v.id = w.version
join json_each(v.settings, '$.schedules') as s;
