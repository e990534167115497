alter table interviews
  -- An IANA name: in it the candidate is told when the interview begins. Null is UTC.
  add column timezone text,
  -- Of the entry in the candidate's calendar: each change that the candidate is told raises it.
  add column calendar_sequence integer not null default 0;

alter table emails
  drop constraint emails_kind_check,
  add constraint emails_kind_check check (kind in (
    'welcome', 'invite', 'rescheduled', 'cancelled', 'reset', 'assessment_ready')) not valid;

-- Rooms that LiveKit is still to close. No reference: the room of an interview that was deleted is closed, too.
create table rooms_to_close (
  interview_id uuid primary key,
  requested_at timestamptz not null default now(),
  -- When it is tried next; each failure moves it.
  due_at timestamptz not null default now(),
  attempts integer not null default 0,
  last_error text
);
create index rooms_to_close_due on rooms_to_close (due_at);

-- Invitations to an address by the day in UTC, kept for that day: they count though their interview is deleted.
create table invitations_sent (
  team_id uuid not null references teams,
  -- SHA-256 of the address in lower case.
  address_hash bytea not null,
  day date not null,
  used integer not null,
  primary key (team_id, address_hash, day)
);
