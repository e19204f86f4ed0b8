-- renewed_at: when the instance was last restarted as a whole; null: never. restarted_seq: the number of the record of
-- its last restart; 0: there is none.
alter table instances add column renewed_at integer;
alter table instances add column restarted_seq integer not null default 0;
-- Whether a step with a rollback has begun.
alter table instances add column has_rollbacks integer not null default 0;

-- Instances that were deleted one by one are those of the workflow 0, until their rows are gone.

-- The workflows all of whose instances are being terminated: those of these statuses (JSON), up to a row.
create table terminations (
    workflow integer primary key,
    statuses text not null,
    upto integer not null
) strict;
