-- Names and columns are those of the SQLite schema; see there what each is for.
alter table snapshots add column script text collate "C" not null default '';
alter table snapshots add column annotations text not null default '{}';
alter table snapshots add column deployed text not null default '{}';
alter table snapshots add column kept_until bigint not null default 0;
