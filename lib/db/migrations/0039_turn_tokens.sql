-- outside a transaction
drop index concurrently if exists turn_texts_tokens;
create index concurrently turn_texts_tokens on turn_texts using gin (team_id, tokens);
drop index concurrently if exists turn_texts_folding;
create index concurrently turn_texts_folding on turn_texts (folding);
