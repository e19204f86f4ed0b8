-- Jobs: one change (verb) of all instances of a workflow, by its name, or of all (null), that match a search (wanted,
-- JSON) and were there when it began: up to a row. place: (created_at, row) of the last that was looked at. done,
-- passed_over and failed are counts; failures: JSON, the first of them with why. ended_at: when it was done, or
-- cancelled.
create table jobs (
    account text not null,
    id text not null,
    verb text not null,
    workflow text,
    wanted text not null,
    created_at integer not null,
    created_by text not null,
    upto integer not null,
    place_at integer,
    place_row integer,
    done integer not null default 0,
    passed_over integer not null default 0,
    failed integer not null default 0,
    failures text not null default '[]',
    ended_at integer,
    is_cancelled integer not null default 0,
    primary key (account, id)
) strict, without rowid;

create index jobs_by_creation on jobs (account, created_at, id);
create index jobs_open on jobs (account, id) where ended_at is null;
