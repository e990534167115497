-- A trial run reports what an import would do and writes no profile.
alter table imports add column dry_run boolean not null default false;

-- The names that the rows of a running trial would take, for telling its duplicates; emptied at its end.
create table import_trial_names (
  import_id uuid not null references imports on delete cascade,
  name_key uuid not null,
  import_row integer not null,
  primary key (import_id, name_key)
);

-- Taking out what an import put in: how far that has come. Profiles of an import are found by the time in
-- their ids, between its start and its end, so that no index on import_id slows every import down.
alter table imports
  add column removal_state text check (removal_state in ('running', 'done')),
  add column removed integer not null default 0,
  add column removed_up_to uuid;
