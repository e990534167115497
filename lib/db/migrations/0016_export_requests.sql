-- Whether the file is compressed. Nothing at S3 says so: no object has a Content-Encoding.
alter table exports add column gzip boolean not null default false;

-- The export that an Idempotency-Key stands for. Two keys may stand for one, if both asked for the same.
create table export_idempotency_keys (
  team_id uuid not null references teams,
  idempotency_key text not null,
  export_id uuid not null references exports on delete cascade,
  created_at timestamptz not null default now(),
  primary key (team_id, idempotency_key)
);
