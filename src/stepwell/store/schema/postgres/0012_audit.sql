-- Names and columns are those of the SQLite schema; see there what each is for.

create table audit (
    row bigint generated always as identity primary key,
    account text collate "C" not null,
    at bigint not null,
    action text collate "C" not null,
    way text collate "C" not null,
    who text not null,
    token text collate "C",
    address text not null,
    agent text not null,
    workflow_name text collate "C",
    instance_id text collate "C",
    thing text,
    detail text not null
);

create index audit_by_account on audit (account, row);
create index audit_by_workflow on audit (account, workflow_name, row);
create index audit_by_instance on audit (account, workflow_name, instance_id, row) where instance_id is not null;

-- A trigger of PostgreSQL is a function. These two refuse, and do nothing else.
create function audit_refuses_changes() returns trigger language plpgsql as $$
begin
    raise exception 'entries of the audit log are never changed';
end
$$;

create function audit_refuses_gaps() returns trigger language plpgsql as $$
begin
    if exists (select 1 from audit as a where a.row < (select max(g.row) from gone as g)) then
        raise exception 'entries of the audit log go by age alone, the oldest first';
    end if;
    return null;
end
$$;

create trigger audit_is_never_changed
before update or truncate on audit
for each statement execute function audit_refuses_changes();

create trigger audit_goes_from_its_oldest
after delete on audit
referencing old table as gone
for each statement execute function audit_refuses_gaps();
