alter table assessments
  -- Whether turns arrived after those that the content was made of.
  add column outdated boolean not null default false,
  -- While turns may still arrive: not before this time, which each of them moves, and since when that has been so.
  add column due_at timestamptz,
  add column waiting_since timestamptz,
  -- How often it was made again because of late turns, by itself.
  add column renewals integer not null default 0,
  -- When a person first took it out as a file.
  add column exported_at timestamptz;

-- What each completed generation said.
create table assessment_generations (
  interview_id uuid not null references interviews on delete cascade,
  generation integer not null,
  content jsonb not null,
  completed_at timestamptz not null,
  primary key (interview_id, generation)
);

-- Seconds that SQS is to keep a message to itself.
alter table outbox add column delay_seconds integer not null default 0;
