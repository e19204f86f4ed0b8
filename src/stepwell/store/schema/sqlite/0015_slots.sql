-- Who may run. A workflow that has limits has a gate; so have all those of an account that has one.
-- limits: JSON, what the author has declared; most: how many may run, null: any number. held: how many have a slot;
-- queued: how many wait for one. started: how many have started; served: two for each slot that it has given, so that
-- there is a place between two.
create table gates (
    workflow integer primary key,
    account text not null,
    limits text not null default '{}',
    most integer,
    held integer not null default 0,
    queued integer not null default 0,
    served integer not null default 0,
    started integer not null default 0
) strict;

create index gates_by_account on gates (account);

-- The instances of a workflow that share a key wait in one queue; '': there is no key. served: when it was last given a
-- slot, as its gate counts. ready: an instance of it may be able to have one. holder: the only one that may run; 0: none.
create table queues (
    workflow integer not null,
    key text not null,
    held integer not null default 0,
    served integer not null default 0,
    started integer not null default 0,
    ready integer not null default 1,
    holder integer not null default 0,
    primary key (workflow, key)
) strict, without rowid;

create index queues_ready on queues (workflow, served, key) where ready = 1;

-- When the last instances were started, as many as a rate counts. key: null: of the workflow as a whole.
create table starts (
    row integer primary key,
    workflow integer not null,
    key text,
    n integer not null,
    at integer not null
) strict;

create index starts_by_queue on starts (workflow, key, n);

-- How many instances of an account may run; null: any number.
alter table account_settings add column concurrency integer;

-- slot: whether it may run. bias: by how much longer it counts as having waited. queued_at: since when it waits for a
-- slot, less the bias.
alter table instances add column slot integer not null default 0;
alter table instances add column bias integer not null default 0;
alter table instances add column key text not null default '';

create index instances_queued on instances (workflow, key, queued_at) where queued_at is not null;

-- What the code says of limits, as JSON; null: nothing.
alter table scripts add column flow text;
alter table versions add column flow text;
