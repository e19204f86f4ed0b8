-- When instances of a workflow are created by themselves: a row for each of its cron expressions.
-- Columns are those of the SQLite schema; see there what each is for.
create table schedules (
    workflow bigint not null,
    next_at bigint,
    paused_at bigint,
    last_at bigint,
    last_instance bigint,
    skipped bigint not null default 0,
    skipped_at bigint,
    cron text collate "C" not null,
    time_zone text collate "C" not null default 'UTC',
    overlap text collate "C" not null default 'allow',
    unfinished text not null default '[]',
    primary key (workflow, cron)
);

create index schedules_due on schedules (next_at) where next_at is not null;

-- They were stored before they had an effect.
insert into schedules (workflow, cron, next_at)
select distinct w.row, s.value, 0
from workflows as w
join versions as v on v.id = w.version
cross join json_array_elements_text(coalesce(cast(v.settings as json) -> 'schedules', '[]')) as s (value);
