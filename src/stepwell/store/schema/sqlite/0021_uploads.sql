-- script: as which one the code was uploaded; '': as none. annotations: what was said of it, JSON. deployed: what was
-- said when it was served last, JSON. kept_until: until when it stays although it was never served.
alter table snapshots add column script text not null default '';
alter table snapshots add column annotations text not null default '{}';
alter table snapshots add column deployed text not null default '{}';
alter table snapshots add column kept_until integer not null default 0;
