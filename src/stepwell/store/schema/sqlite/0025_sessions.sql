-- Browsers that somebody has signed in with a token. What the cookie holds is nowhere: hash is the SHA-256 of it.
-- token: the id of the token, with which a session ends. seen_at: when it was last used, to the minute.
create table sessions (
    row integer primary key autoincrement,
    id text not null unique,
    account text not null,
    token text not null,
    hash text not null,
    created_at integer not null,
    seen_at integer not null
) strict;

create index sessions_by_token on sessions (token);
