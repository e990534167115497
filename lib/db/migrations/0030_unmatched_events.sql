-- Events that fit nothing here, for as long as their bodies are kept. Ids, and nothing of what they say: a table of
-- its own, since the index for the list would have to be built over all events that ever came.
create table unmatched_events (
  source text not null,
  event_id text not null,
  type text not null,
  -- Null for those that came before this table.
  reason text check (reason in ('unreadable', 'not_found')),
  -- The id that it names: of an interview, a session or an e-mail of Resend's.
  about uuid,
  bytes integer,
  received_at timestamptz not null,
  primary key (source, event_id)
);
create index unmatched_events_newest on unmatched_events (received_at desc, source desc, event_id desc);

insert into unmatched_events (source, event_id, type, bytes, received_at)
select source, event_id, type, octet_length(body), received_at from webhook_events
where outcome = 'unmatched' and received_at > now() - interval '30 days';
