-- Whose a dead letter is: the team of what its message was about. Null for a message that belongs to nothing known.
alter table dead_letters add team_id uuid references teams;

create function owner_team(owner_type text, owner_id uuid) returns uuid language sql stable
  set search_path = public, pg_temp
as $$
  select case owner_type
    when 'import' then (select team_id from imports where id = owner_id)
    when 'export' then (select team_id from exports where id = owner_id)
    when 'interview' then (select team_id from interviews where id = owner_id)
    when 'email' then (select team_id from emails where id = owner_id)
    when 'resume' then (
      select c.team_id from resumes r join candidates c on c.id = r.candidate_id where r.id = owner_id)
  end
$$;

update dead_letters set team_id = owner_team(owner_type, owner_id) where owner_id is not null;

-- A trigger, so that letters that the release before records belong to a team too.
create function give_letter_a_team() returns trigger language plpgsql
  set search_path = public, pg_temp
as $$
begin
  new.team_id := coalesce(new.team_id, owner_team(new.owner_type, new.owner_id));
  return new;
end
$$;
create trigger dead_letters_team before insert on dead_letters
  for each row execute function give_letter_a_team();

alter table deletions
  drop constraint deletions_subject_check,
  -- dead_letter: it was discarded; its row is kept for a while.
  add constraint deletions_subject_check check (subject in (
    'interview', 'candidate', 'person', 'transcript', 'resumes', 'profile', 'dead_letter'));

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'rows of % are never changed', tg_table_name;
end
$$;
create trigger deletions_append_only before update or delete on deletions
  for each row execute function refuse_change();

-- What a team has spent of what costs money, by the day in UTC.
create table team_usage (
  team_id uuid not null references teams,
  kind text not null,
  day date not null,
  used bigint not null,
  primary key (team_id, kind, day)
);

-- Limits a day that differ from the defaults.
create table team_quotas (
  team_id uuid not null references teams,
  kind text not null check (kind in ('model_calls', 'emails', 'upload_bytes')),
  daily_limit bigint not null check (daily_limit >= 0),
  primary key (team_id, kind)
);
