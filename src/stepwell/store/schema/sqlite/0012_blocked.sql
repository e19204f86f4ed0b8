-- blocked_since: since when a worker does not answer; null: it does. blocked_stack: the lines at which it hangs, if known.
alter table workers add column blocked_since integer;
alter table workers add column blocked_stack text;
