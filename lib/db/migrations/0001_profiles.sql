create table teams (
  id uuid primary key default uuidv7(),
  name text not null unique,
  created_at timestamptz not null default now()
);

create table api_keys (
  id uuid primary key default uuidv7(),
  team_id uuid not null references teams,
  label text not null,
  role text not null check (role in ('admin', 'analyst', 'recruiter')),
  -- SHA-256 of the key; the key itself is shown once and stored nowhere.
  hash bytea not null unique check (length(hash) = 32),
  -- Requests per minute; null means no limit.
  rate_limit integer check (rate_limit > 0),
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz
);

create table profiles (
  -- Version 7: its timestamp is created_at, so that one order serves both.
  id uuid primary key default uuidv7(),
  -- The first 128 bits of SHA-256 over the folded name (lib/profiles/profile.ts): a third of the size of
  -- the text and never over the limit of a btree key.
  name_key uuid not null constraint profiles_name_key unique,
  import_id uuid,
  gender_probability double precision check (gender_probability between 0 and 1),
  country_probability double precision check (country_probability between 0 and 1),
  import_row integer,
  age smallint not null check (age between 0 and 150),
  country_id char(2) not null,
  gender text not null check (gender in ('male', 'female')),
  name text not null check (length(name) between 1 and 200)
);
create index profiles_cell on profiles (country_id, gender, age, id);
create index profiles_age on profiles (age, id);
create index profiles_gender_probability on profiles (gender_probability, id);

-- How many profiles each (country, gender, age) holds, kept exact by every transaction that writes profiles.
create table facets (
  country_id char(2) not null,
  gender text not null,
  age smallint not null,
  count bigint not null check (count >= 0),
  primary key (country_id, gender, age)
) with (fillfactor = 50);

-- One row. Its lock is taken last by each writing transaction, which makes version order commit order.
create table dataset (
  id smallint primary key default 1 check (id = 1),
  version bigint not null default 0
) with (fillfactor = 10);
insert into dataset default values;
