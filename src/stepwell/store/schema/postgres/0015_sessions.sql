-- Names and columns are those of the SQLite schema; see there what each is for.

create table sessions (
    row bigint generated always as identity primary key,
    id text collate "C" not null unique,
    account text collate "C" not null,
    token text collate "C" not null,
    hash text collate "C" not null,
    created_at bigint not null,
    seen_at bigint not null
);

create index sessions_by_token on sessions (token);
