-- The delivery that finishes an import. A later one takes over: what the earlier one wrote is then void.
alter table imports add column finish_token uuid;

create index imports_removals on imports (id) where removal_state = 'running';
