-- The graph of a class, read from its source: once for each hash of the source. body: JSON; null: there is none, and
-- note says why.
create table graphs (
    account text collate "C" not null,
    script text collate "C" not null,
    class_name text collate "C" not null,
    sha256 text collate "C" not null,
    body text,
    note text not null,
    primary key (account, script, class_name, sha256)
);
