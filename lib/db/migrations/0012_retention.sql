alter table deletions
  drop constraint deletions_subject_check,
  -- person: whatever is about somebody, subject_id is its own id; transcript: of an interview; resumes: of a candidate.
  add constraint deletions_subject_check check (subject in (
    'interview', 'candidate', 'person', 'transcript', 'resumes'));

alter table interviews
  -- When what was said in it was deleted because its time was over.
  add transcript_expired_at timestamptz;

-- What the sweep looks for every minute.
create index interviews_to_expire on interviews (coalesce(completed_at, updated_at))
  where state in ('completed', 'cancelled', 'needs_attention') and transcript_expired_at is null;
create index emails_to_blank on emails (updated_at) where recipient <> '';
create index dead_letters_closed on dead_letters (last_seen_at) where state <> 'open';
