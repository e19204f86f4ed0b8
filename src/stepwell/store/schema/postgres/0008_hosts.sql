-- What people are shown of a host. version, opened_at: null: it runs a release that did not say so yet.
-- renewed_at: when it last renewed its lease, by this database's clock, as all of these.
alter table hosts add column version text;
alter table hosts add column opened_at bigint;
alter table hosts add column renewed_at bigint;
