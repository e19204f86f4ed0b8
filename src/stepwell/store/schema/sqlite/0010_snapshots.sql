-- The author's code as it was when it was first served: every file of it. packages: JSON, name and version of each.
-- served_at: when it was served last; 0: never, as it could not be loaded.
create table snapshots (
    row integer primary key autoincrement,
    account text not null,
    sha256 text not null,
    source text not null,
    python text not null,
    packages text not null,
    created_at integer not null,
    served_at integer not null,
    unique (account, sha256)
) strict;

create table snapshot_files (
    snapshot integer not null,
    path text not null,
    body blob not null,
    crc integer not null,
    primary key (snapshot, path)
) strict, without rowid;

-- snapshot: on which code an instance runs, and a new one will; 0: on whatever is served.
alter table instances add column snapshot integer not null default 0;
alter table workflows add column snapshot integer not null default 0;
alter table versions add column snapshot integer not null default 0;
alter table scripts add column snapshot integer not null default 0;

drop index instances_due;
create index instances_due on instances (snapshot, due_at) where due_at is not null;
