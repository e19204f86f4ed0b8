-- Names and columns are those of the SQLite schema; see there what each is for.

create table facts (
    row bigint generated always as identity primary key,
    at bigint not null,
    level text collate "C" not null,
    event text collate "C" not null,
    message text collate "C" not null,
    host text collate "C" not null,
    process text collate "C" not null,
    account text collate "C",
    workflow_name text collate "C",
    instance_id text collate "C"
);
