-- Who had everything put out that is held about a candidate. It outlives the candidate and names no person.
create table disclosures (
  id uuid primary key default uuidv7(),
  team_id uuid not null references teams,
  candidate_id uuid not null,
  format text not null check (format in ('json', 'zip')),
  requested_by uuid not null references api_keys,
  created_at timestamptz not null default now()
);
create index disclosures_candidate on disclosures (candidate_id);
create trigger disclosures_append_only before update or delete on disclosures
  for each row execute function refuse_change();
