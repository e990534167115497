-- outside a transaction
-- What was refused is counted every minute, and is never much.
drop index concurrently if exists assessments_refused;
create index concurrently assessments_refused on assessments ((failure->>'service'))
  where state = 'failed' and failure->>'code' = 'refused_by_provider';
drop index concurrently if exists emails_refused;
create index concurrently emails_refused on emails ((failure->>'service'))
  where state = 'failed' and failure->>'code' = 'refused_by_provider';
drop index concurrently if exists resumes_refused;
create index concurrently resumes_refused on resumes ((failure->>'service'))
  where state = 'failed' and failure->>'code' = 'refused_by_provider';
drop index concurrently if exists resumes_unembedded;
create index concurrently resumes_unembedded on resumes (embedding_due_at) where embedding_due_at is not null;
