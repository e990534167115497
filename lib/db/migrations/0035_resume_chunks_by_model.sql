-- outside a transaction
-- The first passage of each résumé stands for all of them: the sweep asks every minute which are of another model.
drop index concurrently if exists resume_chunks_model;
create index concurrently resume_chunks_model on resume_chunks (embedding_model, embedding_dimensions)
  where chunk_no = 1;
