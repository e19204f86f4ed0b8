-- Names and columns are those of the SQLite schema; see there what each is for.

create table traces (
    instance bigint primary key,
    taken_until bigint not null default 0
);

create table tracing (
    one bigint primary key check (one = 1),
    until bigint not null
);

-- A trigger of PostgreSQL is a function. Its condition is asked without it.
create function note_that_instance_has_ended() returns trigger language plpgsql as $$
begin
    if exists (select 1 from tracing as t where t.until > new.ended_at) then
        insert into traces (instance) values (new.row)
        on conflict (instance) do update set taken_until = 0;
    end if;
    return null;
end
$$;

create trigger instance_has_ended
after update of ended_at on instances
for each row
when (new.ended_at is not null and old.ended_at is null and old.workflow = new.workflow)
execute function note_that_instance_has_ended();
