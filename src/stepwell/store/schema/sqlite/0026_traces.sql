-- Instances that have ended, and whose spans have not been sent yet. taken_until: until when whoever is at it has it.
create table traces (
    instance integer primary key,
    taken_until integer not null default 0
) strict;

-- Until when ends are noted: there is somebody who sends spans. At most one row.
create table tracing (
    one integer primary key check (one = 1),
    until integer not null
) strict;

-- In the transaction that ends an instance, so none is lost. One that comes in has ended elsewhere.
create trigger instance_has_ended
after update of ended_at on instances
when new.ended_at is not null
    and old.ended_at is null
    and old.workflow = new.workflow
    and exists (select 1 from tracing where until > new.ended_at)
begin
    insert or replace into traces (instance) values (new.row);
end;
