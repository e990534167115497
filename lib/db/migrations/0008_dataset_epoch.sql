-- A random name for the state that a version stands for: a database that is restored to an older state counts
-- its versions a second time, for other data, and caches outside of it must not take the two for one.
alter table dataset add column epoch uuid not null default uuidv4();
