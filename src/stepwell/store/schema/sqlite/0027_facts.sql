-- What the servers' logs have said last, of all hosts: no payloads. account null: it is nobody's, but the operator's.
create table facts (
    row integer primary key autoincrement,
    at integer not null,
    level text not null,
    event text not null,
    message text not null,
    host text not null,
    process text not null,
    account text,
    workflow_name text,
    instance_id text
) strict;
