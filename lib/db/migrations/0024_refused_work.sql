-- Refusals that an operator can mend have a code of their own; those of the release before said so in their text.
update assessments
set failure = failure || '{"code": "refused_by_provider", "service": "gemini"}'
where state = 'failed' and failure->>'code' = 'refused' and failure->>'message' ~ 'refused the call: 40[1-4] ';
update resumes
set failure = failure || '{"code": "refused_by_provider", "service": "gemini"}'
where state = 'failed' and failure->>'code' = 'refused' and failure->>'message' ~ 'refused the call: 40[1-4] ';
update emails
set failure = failure || '{"code": "refused_by_provider", "service": "resend"}'
where state = 'failed' and failure->>'code' = 'refused' and failure->>'message' ~ 'refused the call: 40[1-4] ';

alter table resumes
  -- A résumé that was read but has no vectors yet: when they are tried again, how often they were, and why not.
  add column embedding_due_at timestamptz,
  add column embedding_attempts integer not null default 0,
  add column embedding_failure jsonb;
