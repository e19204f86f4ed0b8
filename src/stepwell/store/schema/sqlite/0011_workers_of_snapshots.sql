-- snapshot: the code that a worker has; 0: whatever is served.
alter table workers add column snapshot integer not null default 0;
