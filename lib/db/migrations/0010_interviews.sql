create table candidates (
  id uuid primary key default uuidv7(),
  team_id uuid not null references teams,
  full_name text not null check (length(full_name) between 1 and 120),
  email text not null check (length(email) between 3 and 254),
  phone text,
  portfolio_url text,
  current_title text,
  years_of_experience real check (years_of_experience between 0 and 80),
  skills text[] not null default '{}',
  location text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create unique index candidates_email on candidates (team_id, lower(email));
create index candidates_newest on candidates (team_id, id desc);

create table resumes (
  id uuid primary key default uuidv7(),
  candidate_id uuid not null references candidates on delete cascade,
  filename text not null,
  content_type text not null,
  size integer not null check (size > 0),
  object_key text not null unique,
  state text not null default 'awaiting_upload' check (state in (
    'awaiting_upload', 'pending', 'processing', 'completed', 'failed')),
  -- {code, message}, set where the state is failed.
  failure jsonb,
  content text,
  -- What the model read out of it; null until then.
  extracted jsonb,
  upload_expires_at timestamptz not null,
  created_at timestamptz not null default now(),
  completed_at timestamptz,
  -- Work on it, as on an assessment.
  lease uuid,
  lease_until timestamptz,
  attempts integer not null default 0,
  last_error text,
  last_error_cause text,
  touched_at timestamptz not null default now(),
  resent_at timestamptz
);
create index resumes_newest on resumes (candidate_id, id desc);
create index resumes_unfinished on resumes (touched_at)
  where state in ('awaiting_upload', 'pending', 'processing');

create table resume_chunks (
  resume_id uuid not null references resumes on delete cascade,
  chunk_no integer not null,
  content text not null,
  -- Of length 1, so that a dot product is the cosine.
  embedding real[] not null,
  primary key (resume_id, chunk_no)
);

create table interviews (
  id uuid primary key default uuidv7(),
  team_id uuid not null references teams,
  candidate_id uuid not null references candidates,
  created_by uuid references api_keys,
  role_title text not null check (length(role_title) between 1 and 120),
  job_description text,
  -- What is assessed: [{id, title, weight}].
  rubric jsonb not null default '[]',
  custom_question text,
  -- {intro, questions: [...], closing}: written by the model or by the recruiter; null before that.
  plan jsonb,
  ai_tone text not null default 'professional' check (ai_tone in ('professional', 'friendly', 'casual')),
  duration_minutes integer not null default 20 check (duration_minutes between 5 and 240),
  scheduled_at timestamptz,
  -- Who is told when the assessment is ready.
  recruiter_email text,
  state text not null default 'draft' check (state in (
    'draft', 'scheduled', 'in_progress', 'completed', 'cancelled', 'needs_attention')),
  started_at timestamptz,
  completed_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index interviews_newest on interviews (team_id, id desc);
create index interviews_candidate on interviews (candidate_id);

-- What happened in the room. One for each interview, from its creation.
create table sessions (
  interview_id uuid primary key references interviews on delete cascade,
  id uuid not null unique default uuidv7(),
  state text not null default 'created' check (state in ('created', 'in_progress', 'completed')),
  -- As the agent sent it, readable or not: turns that never arrived are taken from here.
  transcript_json text,
  report_json text,
  started_at timestamptz,
  -- When the room was closed; the agent's own account of it may come later, or never.
  ended_at timestamptz,
  completed_at timestamptz
);
create index sessions_open on sessions (started_at) where state = 'in_progress';

create table turns (
  interview_id uuid not null references interviews on delete cascade,
  sequence_no integer not null check (sequence_no >= 1),
  speaker text not null,
  speaker_name text,
  content text not null,
  -- Unix seconds or seconds since the start: agents send either.
  timestamp_sec double precision,
  is_ai_question boolean not null default false,
  created_at timestamptz not null default now(),
  primary key (interview_id, sequence_no)
);

-- What a search looks through: every turn of a transcript once, also those that only the session's JSON holds.
create table turn_texts (
  interview_id uuid not null references interviews on delete cascade,
  team_id uuid not null references teams,
  sequence_no integer not null,
  content text not null,
  words tsvector generated always as (to_tsvector('english', content)) stored,
  primary key (interview_id, sequence_no)
);
create index turn_texts_words on turn_texts using gin (words);

create table assessments (
  interview_id uuid primary key references interviews on delete cascade,
  state text not null default 'pending' check (state in ('pending', 'generating', 'completed', 'failed')),
  -- {code, message}, set where the state is failed.
  failure jsonb,
  content jsonb,
  -- Which request for it this is: a repeated one makes a new assessment, and another e-mail.
  generation integer not null default 1,
  requested_at timestamptz not null default now(),
  completed_at timestamptz,
  -- Who works on it, and until when nobody else may.
  lease uuid,
  lease_until timestamptz,
  -- Attempts since its message was last sent, and what the last failed one said.
  attempts integer not null default 0,
  last_error text,
  last_error_cause text,
  touched_at timestamptz not null default now(),
  resent_at timestamptz
);
create index assessments_unfinished on assessments (touched_at) where state in ('pending', 'generating');

create table emails (
  id uuid primary key default uuidv7(),
  team_id uuid not null references teams,
  interview_id uuid references interviews on delete cascade,
  kind text not null check (kind in ('welcome', 'invite', 'reset', 'assessment_ready')),
  -- Asked for twice under one name, it is sent once.
  dedupe_key text unique,
  recipient text not null,
  -- What its template is filled with.
  data jsonb not null,
  state text not null default 'queued' check (state in (
    'queued', 'sending', 'sent', 'delivered', 'delayed', 'bounced', 'complained', 'suppressed', 'failed')),
  failure jsonb,
  -- Resend's own id of it.
  provider_id text unique,
  created_at timestamptz not null default now(),
  sent_at timestamptz,
  -- Of the last word from Resend's webhook.
  updated_at timestamptz not null default now(),
  lease uuid,
  lease_until timestamptz,
  attempts integer not null default 0,
  last_error text,
  last_error_cause text,
  touched_at timestamptz not null default now(),
  resent_at timestamptz
);
create index emails_of_interview on emails (interview_id, id);
create index emails_unfinished on emails (touched_at) where state in ('queued', 'sending');

-- Addresses that nothing is sent to any more, in lower case.
create table email_suppressions (
  address text primary key,
  reason text not null check (reason in ('bounced', 'complained')),
  created_at timestamptz not null default now()
);

create table chat_messages (
  interview_id uuid not null references interviews on delete cascade,
  sequence_no integer not null,
  role text not null check (role in ('user', 'assistant')),
  content text not null,
  -- Ids of the turns that the answer stands on.
  citations jsonb not null default '[]',
  -- Whether the answer was there to be found; null for a question.
  found boolean,
  created_by uuid references api_keys,
  created_at timestamptz not null default now(),
  primary key (interview_id, sequence_no)
);

-- Each event once, by its sender's id: what it did is in the transaction that wrote it here.
create table webhook_events (
  source text not null check (source in ('livekit', 'agent', 'resend')),
  event_id text not null,
  type text not null,
  -- applied; ignored: nothing here cares about the type; unmatched: what it is about is not here.
  outcome text not null check (outcome in ('applied', 'ignored', 'unmatched')),
  interview_id uuid references interviews on delete cascade,
  -- Kept where it was not applied, for whoever asks why.
  body text,
  received_at timestamptz not null,
  processed_at timestamptz not null default now(),
  primary key (source, event_id)
);
create index webhook_events_interview on webhook_events (interview_id);
create index webhook_events_kept on webhook_events (received_at) where body is not null;

-- Messages that belong to a transaction: sent after its commit, by whoever wrote them or by the sweep.
create table outbox (
  id uuid primary key default uuidv7(),
  queue text not null,
  body jsonb not null,
  created_at timestamptz not null default now(),
  -- A sender has it until then; what a crash left behind is sent after it.
  claimed_until timestamptz
);

-- Who had what deleted. It outlives what it is about and names no person.
create table deletions (
  id uuid primary key default uuidv7(),
  team_id uuid not null references teams,
  subject text not null check (subject in ('interview', 'candidate')),
  subject_id uuid not null,
  -- How many rows and objects of each kind.
  counts jsonb not null,
  triggered_by text not null check (triggered_by in ('request', 'retention')),
  requested_by uuid references api_keys,
  created_at timestamptz not null default now()
);
