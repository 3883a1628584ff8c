-- Who used a token is remembered for a moment, so that an agent that never got its answer can ask again with the same key.
ALTER TABLE join_tokens ADD COLUMN used_by BLOB;
ALTER TABLE join_tokens ADD COLUMN used_until INTEGER;
