alter table candidates
  -- Who said each fact: {"location": {"by": "person", "key_id": ..., "at": ...}} or {"by": "resume", "resume_id": ...,
  -- "at": ...}. What a person wrote, or took away, no résumé changes.
  add column said_by jsonb not null default '{}';

-- Of what is there already: the résumé if one says the same, else a person.
with facts as (
  select c.id, c.created_at, f.fact, f.value
  from candidates c, lateral (values
    ('full_name', to_jsonb(full_name)), ('email', to_jsonb(email)), ('phone', to_jsonb(phone)),
    ('portfolio_url', to_jsonb(portfolio_url)), ('current_title', to_jsonb(current_title)),
    ('years_of_experience', to_jsonb(years_of_experience)), ('skills', to_jsonb(nullif(skills, '{}'))),
    ('location', to_jsonb(location))) as f(fact, value)
  where f.value is not null
), said as (
  select f.id, jsonb_object_agg(f.fact, case
    when r.id is not null then jsonb_build_object('by', 'resume', 'resume_id', r.id, 'at', r.completed_at)
    else jsonb_build_object('by', 'person', 'key_id', null, 'at', f.created_at) end) as said_by
  from facts f left join lateral (
    select id, completed_at from resumes
    where candidate_id = f.id and state = 'completed' and case jsonb_typeof(f.value)
      when 'string' then btrim(extracted->>f.fact, E' \t\n\r') = f.value #>> '{}'
      when 'number' then (extracted->>f.fact)::real = (f.value #>> '{}')::real
      else extracted->f.fact = f.value end
    order by id desc limit 1) r on true
  group by f.id
)
update candidates c set said_by = said.said_by from said where said.id = c.id;

-- Addresses to which a team sends nothing more, in the form in which they are stored and in lower case. Of a team:
-- no other one learns from it to whom this one wrote.
create table suppressed_addresses (
  id uuid primary key default uuidv7(),
  team_id uuid not null references teams,
  address text not null,
  -- provider: Resend says that it sends nothing there.
  reason text not null check (reason in ('bounced', 'complained', 'provider')),
  -- What the mailbox or Resend said of it, without the address.
  message text,
  -- Of the e-mail that it was about, which may be gone.
  email_id uuid,
  created_at timestamptz not null,
  unique (team_id, address)
);

-- Those that were suppressed for all teams are now for each that wrote to them or has them as a candidate.
insert into suppressed_addresses (team_id, address, reason, created_at)
select distinct t.team_id, s.address, s.reason, s.created_at
from email_suppressions s join (
  select team_id, lower(recipient) as address from emails
  union select team_id, lower(email) from candidates
  union select team_id, lower(recruiter_email) from interviews) t using (address)
on conflict do nothing;
delete from email_suppressions;

alter table deletions
  drop constraint deletions_subject_check,
  -- suppression: an address may be written to again.
  add constraint deletions_subject_check check (subject in (
    'interview', 'candidate', 'person', 'transcript', 'resumes', 'profile', 'dead_letter', 'suppression'));
