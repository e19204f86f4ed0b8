-- How long an instance is kept after its end, as it says itself; null: its version, its account or the server says.
-- When one expires is nowhere: it is reckoned from ended_at when it is looked for, so what is changed later counts.
alter table instances add column success_retention_ms bigint;
alter table instances add column error_retention_ms bigint;

-- What has ended, as it expires: under its version, by its end; where it says itself how long it is kept, by that.
-- No commit of a step changes any of these columns.
create index instances_ended on instances (workflow, version, status, ended_at)
where ended_at is not null
    and case status when 'complete' then success_retention_ms else error_retention_ms end is null;

create index instances_expiring on instances (
    workflow,
    (ended_at + case status when 'complete' then success_retention_ms else error_retention_ms end)
)
where ended_at is not null
    and case status when 'complete' then success_retention_ms else error_retention_ms end is not null;
