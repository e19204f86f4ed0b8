-- How many instances of a workflow have ended with a status: all of them are counted without looking at any.
-- host: 0. A copy of a database may bring others: each host there counts by itself, and the sum is what counts.
create table ended_counts (
    workflow integer not null,
    status text not null,
    host integer not null,
    n integer not null,
    primary key (workflow, status, host)
) strict, without rowid;

insert into ended_counts (workflow, status, host, n)
select workflow, status, 0, count(*)
from instances
where workflow in (select row from workflows)
    and status in ('complete', 'errored', 'terminated')
group by workflow, status;
