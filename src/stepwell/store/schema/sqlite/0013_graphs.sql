-- The graph of a class, read from its source: once for each hash of the source. body: JSON; null: there is none, and
-- note says why.
create table graphs (
    account text not null,
    script text not null,
    class_name text not null,
    sha256 text not null,
    body text,
    note text not null,
    primary key (account, script, class_name, sha256)
) strict, without rowid;
