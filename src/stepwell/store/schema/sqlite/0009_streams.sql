-- What steps have returned as streams, in pieces. step: which step of the instance, as JSON.
-- instance: 0: it was dropped, or its instance deleted, and the pieces are still to be.
create table streams (
    row integer primary key autoincrement,
    instance integer not null,
    step text not null,
    turn integer not null,
    attempt integer not null
) strict;

create index streams_by_step on streams (instance, step);

-- crc is over the body: SQLite does not notice damage inside a value.
create table pieces (
    row integer primary key,
    stream integer not null,
    n integer not null,
    body blob not null,
    crc integer not null,
    unique (stream, n)
) strict;
