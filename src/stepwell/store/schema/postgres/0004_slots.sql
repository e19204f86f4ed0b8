-- Names and columns are those of the SQLite schema; see there what each is for.

create table gates (
    workflow bigint primary key,
    account text collate "C" not null,
    limits text not null default '{}',
    most bigint,
    held bigint not null default 0,
    queued bigint not null default 0,
    served bigint not null default 0,
    started bigint not null default 0
) with (fillfactor = 50);

create index gates_by_account on gates (account);

create table queues (
    workflow bigint not null,
    key text collate "C" not null,
    held bigint not null default 0,
    served bigint not null default 0,
    started bigint not null default 0,
    ready bigint not null default 1,
    holder bigint not null default 0,
    primary key (workflow, key)
) with (fillfactor = 50);

create index queues_ready on queues (workflow, served, key) where ready = 1;

create table starts (
    row bigint generated always as identity primary key,
    workflow bigint not null,
    key text collate "C",
    n bigint not null,
    at bigint not null
);

create index starts_by_queue on starts (workflow, key, n);

alter table account_settings add column concurrency bigint;

alter table instances add column slot bigint not null default 0;
alter table instances add column bias bigint not null default 0;
alter table instances add column key text collate "C" not null default '';

create index instances_queued on instances (workflow, key, queued_at, row) where queued_at is not null;

alter table scripts add column flow text;
alter table versions add column flow text;
