-- The keys that have sealed payloads, by name, as far as this store has been opened with them. proof: what only that
-- key can have sealed.
create table encryption_keys (
    name text primary key,
    proof text not null
);

-- key: the name of the one that has sealed the body; null: none has.
alter table pieces add column key text;
