-- Who changed a profile by hand, and when: a table of its own, so that imports pay nothing for it.
create table profile_edits (
  id uuid primary key default uuidv7(),
  profile_id uuid not null,
  -- In milliseconds, taken under the lock on the dataset: its order is that of the commits.
  edited_at timestamptz not null,
  edited_by uuid references api_keys,
  -- The names of the fields that changed, never what they held.
  fields text[] not null
);
create index profile_edits_profile on profile_edits (profile_id);
create index profile_edits_newest on profile_edits (edited_at, profile_id);

create or replace function delete_beside_profiles() returns trigger language plpgsql security definer
  set search_path = public, pg_temp
as $$
begin
  delete from name_twins where profile_id = any (array(select id from gone));
  delete from profile_edits where profile_id = any (array(select id from gone));
  return null;
end
$$;

-- Profiles that the removal of an import left alone, because they had been edited.
alter table imports add column kept_edited integer not null default 0;
