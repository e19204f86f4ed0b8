-- Who is told, at an address, of what instances do. workflows, events: JSON arrays of the names that it wants; an empty
-- one: all. secret signs what is sent; earlier_secret does so too, until earlier_until. disabled_why: by hand, or gone:
-- the receiver has said so. One that was deleted has its row until its deliveries are gone.
create table webhooks (
    row integer primary key autoincrement,
    id text not null unique,
    account text not null,
    url text not null,
    secret text not null,
    earlier_secret text,
    earlier_until integer,
    workflows text not null,
    events text not null,
    disabled_at integer,
    disabled_why text,
    deleted_at integer,
    created_at integer not null,
    created_by text not null
) strict;

create index webhooks_by_account on webhooks (account, row);

-- One event on its way to one webhook. at: when it was. next_at: when it is tried next; while it is being tried, when it
-- is taken for lost; null: it is over. attempts: the number of the last one, which is its fence; tries: how many there
-- were since it was asked for last. outcome: delivered, or given_up. log: its attempts, as a JSON array.
create table deliveries (
    row integer primary key autoincrement,
    webhook integer not null,
    event text not null,
    workflow_name text not null,
    instance_id text not null,
    version text not null,
    at integer not null,
    attempts integer not null default 0,
    tries integer not null default 0,
    next_at integer,
    ended_at integer,
    outcome text,
    log text not null default '[]'
) strict;

create index deliveries_by_webhook on deliveries (webhook, row);
create index deliveries_due on deliveries (webhook, next_at, row) where next_at is not null;
create index deliveries_pending on deliveries (at) where next_at is not null;
create index deliveries_ended on deliveries (ended_at) where ended_at is not null;

-- An event is caught by the very transaction that brings it about, whatever statement that has. What comes in from
-- elsewhere has no workflow until it is whole, and brings about none.
create trigger webhooks_hear_of_creations
after insert on instances
when new.workflow > 0
    and exists (select 1 from webhooks)
begin
    insert into deliveries (webhook, event, workflow_name, instance_id, version, at, next_at)
    select w.row, e.event, f.name, new.id, new.version, new.modified_at, new.modified_at
    from (
        select 'queued' as event
        union all
        select 'started'
        where new.status = 'running'
    ) as e
    join workflows as f on f.row = new.workflow
    join webhooks as w on w.account = new.account
    where w.disabled_at is null
        and w.deleted_at is null
        and (w.events = '[]' or exists (select 1 from json_each(w.events) where value = e.event))
        and (w.workflows = '[]' or exists (select 1 from json_each(w.workflows) where value = f.name));
end;

create trigger webhooks_hear_of_changes
after update of status on instances
when new.workflow > 0
    and new.workflow = old.workflow
    and (new.status <> old.status or new.restarted_seq <> old.restarted_seq)
    and exists (select 1 from webhooks)
begin
    insert into deliveries (webhook, event, workflow_name, instance_id, version, at, next_at)
    select w.row, e.event, f.name, new.id, new.version, new.modified_at, new.modified_at
    from (
        select case
            when new.restarted_seq <> old.restarted_seq then 'queued'
            when new.status = 'running' and old.status = 'queued' then 'started'
            when new.status in ('paused', 'errored', 'terminated') then new.status
            when new.status = 'complete' then 'completed'
        end as event
    ) as e
    join workflows as f on f.row = new.workflow
    join webhooks as w on w.account = new.account
    where e.event is not null
        and w.disabled_at is null
        and w.deleted_at is null
        and (w.events = '[]' or exists (select 1 from json_each(w.events) where value = e.event))
        and (w.workflows = '[]' or exists (select 1 from json_each(w.workflows) where value = f.name));
end;
