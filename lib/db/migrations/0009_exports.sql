create table exports (
  -- Version 7: its order is that of creation.
  id uuid primary key default uuidv7(),
  team_id uuid not null references teams,
  created_by uuid references api_keys,
  format text not null check (format in ('csv', 'jsonl')),
  -- Canonical, so that what means the same is the same.
  filter jsonb not null,
  sort_by text not null,
  sort_order text not null check (sort_order in ('asc', 'desc')),
  -- Format, filter and order as one text.
  request_key text not null,
  -- Of the data when it was asked for; of the file once that is begun.
  dataset_version bigint not null,
  state text not null default 'queued' check (state in ('queued', 'running', 'completed', 'failed')),
  -- {code, message}, set where the state is failed.
  failure jsonb,
  rows_done bigint not null default 0,
  -- Counted when it was asked for; of a completed one what the file holds.
  rows_total bigint not null,
  file_key text,
  size bigint,
  created_at timestamptz not null default now(),
  started_at timestamptz,
  finished_at timestamptz,
  -- When the file of a completed one may be gone.
  expires_at timestamptz,
  -- The delivery at work. It says every few seconds that it lives; one that has been silent is replaced.
  attempt_token uuid,
  touched_at timestamptz not null default now(),
  -- How often the sweep has sent its message again; each time it waits longer.
  resumed integer not null default 0,
  -- Attempts that reached the database, and what the last failed one said.
  attempts integer not null default 0,
  last_error text,
  last_error_cause text,
  -- When its message was last sent anew: the dead letter of an earlier one no longer counts.
  resent_at timestamptz
);
create index exports_newest on exports (team_id, id desc);
create index exports_unfinished on exports (touched_at) where state in ('queued', 'running');
