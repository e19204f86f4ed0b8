-- Names and columns are those of the SQLite schema; see there what each is for.

create table webhooks (
    row bigint generated always as identity primary key,
    id text collate "C" not null unique,
    account text collate "C" not null,
    url text not null,
    secret text not null,
    earlier_secret text,
    earlier_until bigint,
    workflows text not null,
    events text not null,
    disabled_at bigint,
    disabled_why text collate "C",
    deleted_at bigint,
    created_at bigint not null,
    created_by text not null
);

create index webhooks_by_account on webhooks (account, row);

create table deliveries (
    row bigint generated always as identity primary key,
    webhook bigint not null,
    event text collate "C" not null,
    workflow_name text collate "C" not null,
    instance_id text collate "C" not null,
    version text collate "C" not null,
    at bigint not null,
    attempts bigint not null default 0,
    tries bigint not null default 0,
    next_at bigint,
    ended_at bigint,
    outcome text collate "C",
    log text not null default '[]'
);

create index deliveries_by_webhook on deliveries (webhook, row);
create index deliveries_due on deliveries (webhook, next_at, row) where next_at is not null;
create index deliveries_pending on deliveries (at) where next_at is not null;
create index deliveries_ended on deliveries (ended_at) where ended_at is not null;

-- Where a row is created with a worker at once, it has been queued, and has started.
-- Names that a webhook wants are looked for in the text that has them, as they have no quotes: read as JSON, one that
-- `jsonb` cannot hold would undo the transaction of whoever has caused an event.
create function webhooks_hear() returns trigger language plpgsql as $$
begin
    if not exists (select 1 from webhooks) then
        return null;
    end if;
    insert into deliveries (webhook, event, workflow_name, instance_id, version, at, next_at)
    select w.row, e.event, f.name, new.id, new.version, new.modified_at, new.modified_at
    from unnest(
        case
            when tg_op = 'INSERT' and new.status = 'running' then array['queued', 'started']
            when tg_op = 'INSERT' or new.restarted_seq <> old.restarted_seq then array['queued']
            when new.status = 'running' and old.status = 'queued' then array['started']
            when new.status in ('paused', 'errored', 'terminated') then array[new.status]
            when new.status = 'complete' then array['completed']
        end
    ) as e (event)
    join workflows as f on f.row = new.workflow
    join webhooks as w on w.account = new.account
    where w.disabled_at is null
        and w.deleted_at is null
        and (w.events = '[]' or strpos(w.events, '"' || e.event || '"') > 0)
        and (w.workflows = '[]' or strpos(w.workflows, '"' || f.name || '"') > 0)
    order by w.row;
    return null;
end
$$;

create trigger webhooks_hear_of_creations
after insert on instances
for each row
when (new.workflow > 0)
execute function webhooks_hear();

create trigger webhooks_hear_of_changes
after update of status on instances
for each row
when (
    new.workflow > 0
    and new.workflow = old.workflow
    and (new.status <> old.status or new.restarted_seq <> old.restarted_seq)
    and (new.restarted_seq <> old.restarted_seq or new.status not in ('waiting', 'waitingForPause', 'rollingBack'))
)
execute function webhooks_hear();
