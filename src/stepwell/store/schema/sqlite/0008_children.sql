-- awaited: somebody is to hear of the instance's end.
alter table instances add column awaited integer not null default 0;

-- Who awaits an instance: it gets an event of this type when the child ends. follows: the child is terminated with it.
create table children (
    child integer not null,
    parent integer not null,
    event_type text not null,
    follows integer not null,
    primary key (child, parent, event_type)
) strict, without rowid;

create index children_by_parent on children (parent, child);
