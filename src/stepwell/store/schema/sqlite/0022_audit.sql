-- The audit log: who has done what, when, and from where, beside what instances say in their histories. An entry is
-- written with what it tells of, in one transaction. way: how the caller was known; who: its name, token: that one's id.
-- workflow_name, instance_id: which ones it was done to; thing: what else (a token, a script, a job). detail: JSON, no payloads.
create table audit (
    row integer primary key autoincrement,
    account text not null,
    at integer not null,
    action text not null,
    way text not null,
    who text not null,
    token text,
    address text not null,
    agent text not null,
    workflow_name text,
    instance_id text,
    thing text,
    detail text not null
) strict;

create index audit_by_account on audit (account, row);
create index audit_by_workflow on audit (account, workflow_name, row);
create index audit_by_instance on audit (account, workflow_name, instance_id, row) where instance_id is not null;

-- What was written stays as it is, and none goes while an older one is there: so entries are forgotten by age alone.
create trigger audit_is_never_changed
before update on audit
begin
    select raise(abort, 'entries of the audit log are never changed');
end;

create trigger audit_goes_from_its_oldest
before delete on audit
when exists (select 1 from audit where row < old.row)
begin
    select raise(abort, 'entries of the audit log go by age alone, the oldest first');
end;
