-- Messages that exhausted their deliveries, taken out of the dead-letter queues: people look and choose here.
create table dead_letters (
  id uuid primary key default uuidv7(),
  queue text not null,
  message_id text not null,
  body text not null,
  attributes jsonb not null default '{}',
  receive_count integer not null,
  error text not null,
  -- dependency: only something it stands on was out; the sweep redrives it.
  cause text not null check (cause in ('dependency', 'defect', 'unknown')),
  -- Whose work it was; all null for a message that belongs to nothing known.
  owner_type text,
  owner_id uuid,
  owner_part integer,
  state text not null default 'open' check (state in ('open', 'redriven', 'discarded')),
  first_seen_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  redriven_at timestamptz,
  -- Of a redriven one: whether its message was sent. What a crash left unsent is sent by the sweep.
  sent boolean not null default false,
  -- How often the sweep has redriven this work; each time it waits longer.
  automatic_redrives integer not null default 0,
  unique (queue, message_id)
);
create index dead_letters_newest on dead_letters (queue, state, id desc);
create index dead_letters_owner on dead_letters (owner_id, owner_part);
create index dead_letters_unsent on dead_letters (redriven_at) where state = 'redriven' and not sent;

alter table imports
  -- When a worker last came further, or the sweep last looked.
  add touched_at timestamptz not null default now(),
  -- How often the sweep has taken it up since then; each time it waits longer.
  add resumed integer not null default 0,
  -- Attempts that reached the database since the last message was sent, and what the last failed one said.
  add attempts integer not null default 0,
  add last_error text,
  add last_error_cause text,
  -- When its messages were last sent anew: the dead letter of an earlier one no longer counts.
  add resent_at timestamptz,
  add retried_at timestamptz;
create index imports_unfinished on imports (touched_at)
  where state in ('awaiting_upload', 'splitting', 'inserting', 'finishing')
    or (state = 'cancelled' and rejects_key is null);

alter table import_slices
  add touched_at timestamptz,
  add attempts integer not null default 0,
  add error_cause text,
  add resent_at timestamptz,
  drop constraint import_slices_state_check,
  add constraint import_slices_state_check check (state in ('pending', 'done', 'failed', 'cancelled'));
