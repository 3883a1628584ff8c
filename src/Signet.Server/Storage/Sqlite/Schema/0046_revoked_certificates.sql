-- Certificates that are revoked one by one; they go with their authority, and some time after they would have ended.
CREATE TABLE revoked_certificates (
  serial       TEXT NOT NULL PRIMARY KEY,
  spiffe_id    TEXT NOT NULL,
  authority_id TEXT NOT NULL REFERENCES authorities (id) ON DELETE CASCADE,
  not_after    INTEGER NOT NULL,
  revoked_at   INTEGER NOT NULL,
  reason       TEXT NOT NULL,
  revoked_by   TEXT NOT NULL
) STRICT, WITHOUT ROWID;
