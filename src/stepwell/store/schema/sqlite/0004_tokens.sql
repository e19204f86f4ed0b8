-- Who may use the API. The secret itself is nowhere: hash is the SHA-256 of it.
-- email: a key that comes in X-Auth-Key is good with this address alone. permissions: names, one a line.
create table tokens (
    row integer primary key autoincrement,
    id text not null unique,
    account text not null,
    name text not null,
    hash text not null,
    email text,
    permissions text not null,
    created_at integer not null,
    expires_at integer,
    revoked_at integer
) strict;

create index tokens_by_account on tokens (account, created_at);
