-- An Idempotency-Key counts no longer than the workflow that its request was about. Null: from before this was kept.
alter table idempotency_keys add column workflow integer;
