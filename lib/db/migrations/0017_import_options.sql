-- What was said with an import about its file: encoding, accept, columns and values.
alter table imports
  add column options jsonb not null default '{}',
  -- Whether the encoding was neither marked, said, nor proved by the bytes.
  add column encoding_guessed boolean not null default false,
  -- How many columns were ignored; ignored_columns holds the first of them.
  add column ignored_columns_total integer,
  -- The header record as it was read, for the file of whole skipped rows.
  add column header text,
  -- The first rows as they were read, and the keys of their names, by which an erasure finds them.
  add column sample jsonb not null default '[]',
  add column sample_keys uuid[] not null default '{}',
  -- What the reader of the report may want to know about the file, a sentence each.
  add column hints jsonb not null default '[]',
  -- Of a trial that was committed: what it had come to.
  add column trial jsonb;

-- Of a trial: values that could not be read, by column, with their counts.
alter table import_slices add column unread jsonb;
