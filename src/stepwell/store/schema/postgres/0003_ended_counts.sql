-- How many instances of a workflow have ended with a status: all of them are counted without looking at any.
-- Each host counts by itself, so that none waits for another; the sum is what counts, and one's own may be below zero.
-- host: 0: what hosts that are no more have counted.
create table ended_counts (
    workflow bigint not null,
    host bigint not null,
    n bigint not null,
    status text collate "C" not null,
    primary key (workflow, status, host)
) with (fillfactor = 50);

insert into ended_counts (workflow, status, host, n)
select workflow, status, 0, count(*)
from instances
where workflow in (select row from workflows)
    and status in ('complete', 'errored', 'terminated')
group by workflow, status;
