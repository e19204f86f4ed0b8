-- Names and columns are those of the SQLite schema; see there what each is for.

create table jobs (
    account text collate "C" not null,
    id text collate "C" not null,
    verb text collate "C" not null,
    workflow text collate "C",
    wanted text not null,
    created_at bigint not null,
    created_by text not null,
    upto bigint not null,
    place_at bigint,
    place_row bigint,
    done bigint not null default 0,
    passed_over bigint not null default 0,
    failed bigint not null default 0,
    failures text not null default '[]',
    ended_at bigint,
    is_cancelled bigint not null default 0,
    primary key (account, id)
);

create index jobs_by_creation on jobs (account, created_at, id);
create index jobs_open on jobs (account, id) where ended_at is null;
