alter table resumes
  -- Of a plain text, as it was said with the upload; null where it is judged.
  add column encoding text,
  -- {characters, kinds, excerpt}: what people who look at the file do not see. Null where that was not looked for.
  add column hidden_text jsonb;

alter table resume_chunks
  -- What made the vector: only those of one model and dimension can be compared. Those of before are of this one.
  add column embedding_model text not null default 'gemini-embedding-001',
  add column embedding_dimensions integer not null default 768;
