-- Goes up with each change of what was said, so that whoever follows an interview is told without a look at its turns.
alter table sessions add column transcript_version bigint not null default 0;

-- Triggers, so that what the release before stores during a deployment counts too.
create function note_turns() returns trigger language plpgsql
  set search_path = public, pg_temp
as $$
begin
  update sessions set transcript_version = transcript_version + 1
  where interview_id in (select interview_id from added);
  return null;
end
$$;
create trigger turns_noted after insert on turns
  referencing new table as added for each statement execute function note_turns();

create function note_account() returns trigger language plpgsql as $$
begin
  new.transcript_version := old.transcript_version + 1;
  return new;
end
$$;
create trigger sessions_account_noted before update of transcript_json on sessions
  for each row execute function note_account();

-- The words of a turn as lib/interviews/folding.ts folds them, and by which of its versions; 0 is none. A plain
-- column: one that PostgreSQL computes would write the table anew, and no SQL folds like this.
alter table turn_texts
  add column tokens tsvector,
  add column folding smallint not null default 0;

-- Text by the release before leaves the tokens of another text behind.
create function forget_tokens() returns trigger language plpgsql as $$
begin
  new.folding := 0;
  return new;
end
$$;
create trigger turn_texts_refold before update of content on turn_texts
  for each row when (new.content <> old.content and new.tokens is not distinct from old.tokens)
  execute function forget_tokens();

-- A trusted extension, which Aurora has too: an index over words that begins with the team.
create extension if not exists btree_gin with schema public;
