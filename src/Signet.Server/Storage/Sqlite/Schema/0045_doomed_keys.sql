-- Keys of authorities that are gone, until they are deleted too: a server that is killed in between deletes them at its next start.
CREATE TABLE doomed_keys (key_name TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;
