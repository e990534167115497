-- Profiles whose name an older one has. They were made while names were folded otherwise, and have a key made of
-- their id (twinKey in lib/profiles/profile.ts) until the name is free.
create table name_twins (
  profile_id uuid primary key,
  -- That of its name, which the older profile has.
  name_key uuid not null,
  found_at timestamptz not null default now()
);
create index name_twins_name on name_twins (name_key, profile_id);

-- What is kept beside profiles is deleted with them, once a statement: a reference that cascades looks into each
-- table once a profile, by which the removal of an import took six times as long.
create function delete_beside_profiles() returns trigger language plpgsql security definer
  set search_path = public, pg_temp
as $$
begin
  delete from name_twins where profile_id = any (array(select id from gone));
  return null;
end
$$;
create trigger profiles_deleted after delete on profiles referencing old table as gone
  for each statement execute function delete_beside_profiles();

-- How far stored keys have been brought to the folding of the code (lib/profiles/rekey.ts). One row.
create table name_rekeying (
  id smallint primary key default 1 check (id = 1),
  -- The number of the folding that passes bring keys to.
  folding integer not null,
  -- When a deployment last asked for passes.
  asked_at timestamptz not null default now(),
  -- Of the pass at work; null between two. It has looked at all ids up to the second.
  began_at timestamptz,
  scanned_up_to uuid,
  changed bigint not null default 0,
  -- When the last whole pass began: it looked at every profile that was there.
  covered_at timestamptz,
  -- Whether nothing is left to do until a deployment asks again.
  settled boolean not null default false
);
-- A table without profiles has no keys of an earlier folding.
insert into name_rekeying (folding, covered_at)
select case when empty then 2 else 1 end, case when empty then now() end
from (select not exists (select from profiles) as empty) table_of_profiles;
