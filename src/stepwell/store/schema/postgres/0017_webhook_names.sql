-- Names that a webhook wants are looked for in the text that has them, as they have no quotes. Read as JSON, one with a
-- zero in it, which `jsonb` cannot hold, would undo the transaction of whoever has caused an event.
create or replace function webhooks_hear() returns trigger language plpgsql as $$
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
