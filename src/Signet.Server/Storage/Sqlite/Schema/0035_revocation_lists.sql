-- Revocation lists that anchors signed elsewhere, DER; one goes with its anchor.
CREATE TABLE revocation_lists (
  anchor_id TEXT NOT NULL PRIMARY KEY REFERENCES authorities (id) ON DELETE CASCADE,
  list      BLOB NOT NULL
) STRICT, WITHOUT ROWID;
