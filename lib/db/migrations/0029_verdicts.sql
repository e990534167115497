-- What a person decided on a generation of an assessment. One for each generation: the last word counts.
create table verdicts (
  interview_id uuid not null references interviews on delete cascade,
  generation integer not null,
  decision text not null check (decision in ('advance', 'hold', 'reject')),
  -- Scores that the person gives in place of the model's: [{id, score}].
  scores jsonb not null default '[]',
  note text,
  given_by uuid not null references api_keys,
  given_at timestamptz not null default now(),
  primary key (interview_id, generation)
);

-- Assessments that were completed before generations were kept: a verdict names one that is.
insert into assessment_generations (interview_id, generation, content, completed_at)
select interview_id, generation, content, completed_at from assessments
where state = 'completed' and content is not null and completed_at is not null
on conflict do nothing;
