-- Whether an e-mail counts in its team's usage yet: one that does not waits for the quota.
alter table emails add column counted boolean not null default true;

-- What a candidate was told about how an interview is recorded and assessed, what they agreed to, and that they took
-- it back: each time a row, and none is changed.
create table consents (
  id uuid primary key default uuidv7(),
  candidate_id uuid not null references candidates on delete cascade,
  kind text not null check (kind in ('notice', 'consent', 'withdrawal')),
  -- Of the text that was shown or read out, by the team's own name for it.
  version text not null,
  how text not null check (how in ('in_writing', 'by_email', 'on_a_page', 'by_word')),
  happened_at timestamptz not null,
  recorded_by uuid not null references api_keys,
  recorded_at timestamptz not null default now(),
  unique (candidate_id, kind, version, how, happened_at)
);
