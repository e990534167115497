-- Whether an e-mail counts in its team's usage yet: one that does not waits for the quota.
alter table emails add column counted boolean not null default true;
