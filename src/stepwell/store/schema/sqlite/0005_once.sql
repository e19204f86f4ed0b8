-- What was answered under an Idempotency-Key, so that the same request sent again does nothing again.
-- request: a hash of all that the request says. answer: the operation's answer, as msgpack.
create table idempotency_keys (
    row integer primary key autoincrement,
    account text not null,
    key text not null,
    request text not null,
    answer blob not null,
    at integer not null,
    unique (account, key)
) strict;

create index idempotency_keys_by_age on idempotency_keys (at);
