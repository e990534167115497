create table imports (
  id uuid primary key,
  team_id uuid not null references teams,
  created_by uuid references api_keys,
  idempotency_key text,
  filename text not null,
  size bigint not null check (size >= 0),
  object_key text not null unique,
  -- Of the object that was scanned; every slice is read under If-Match of it.
  etag text,
  state text not null default 'awaiting_upload' check (state in (
    'awaiting_upload', 'splitting', 'inserting', 'finishing',
    'completed', 'completed_with_failures', 'failed', 'cancelled')),
  -- {code, message, details?}, set where the state is failed.
  failure jsonb,
  encoding text,
  delimiter text,
  -- For each column of the profile the position of the file's column that holds it.
  columns jsonb,
  ignored_columns jsonb not null default '[]',
  -- Where a scan that ran out of time goes on; null before it begins and after it ended.
  scan jsonb,
  bytes_scanned bigint not null default 0,
  slices_total integer not null default 0,
  rejects_key text,
  created_at timestamptz not null default now(),
  upload_expires_at timestamptz not null,
  started_at timestamptz,
  finished_at timestamptz,
  unique (team_id, idempotency_key)
);
create index imports_newest on imports (team_id, created_at desc, id desc);

create table import_slices (
  import_id uuid not null references imports on delete cascade,
  slice_no integer not null,
  byte_start bigint not null,
  byte_end bigint not null,
  first_row integer not null,
  first_line integer not null,
  record_count integer not null,
  state text not null default 'pending' check (state in ('pending', 'done', 'failed')),
  inserted integer not null default 0,
  skipped integer not null default 0,
  reasons jsonb not null default '{}',
  -- The object that holds this slice's skipped rows; null where none was skipped.
  rejects_key text,
  error text,
  primary key (import_id, slice_no)
);

-- Rows that lost their name to a later row of the same file, because its slice was committed first.
create table import_conflicts (
  import_id uuid not null references imports on delete cascade,
  row_no integer not null,
  slice_no integer not null,
  name_key uuid not null,
  profile jsonb not null,
  -- Set when this row was given its name back: the row that had it before.
  displaced_row integer,
  primary key (import_id, row_no)
);
