-- What a key may: one role or more. An admin of before could do what is an operator's now, and keeps it.
alter table api_keys add roles text[];
update api_keys set roles = case role when 'admin' then array['admin', 'operator'] else array[role] end;
alter table api_keys
  add constraint api_keys_roles_check check (
    roles <@ array['admin', 'operator', 'recruiter', 'analyst'] and cardinality(roles) > 0),
  -- For the release before, which reads this one: null where it knows no such role.
  alter role drop not null;
