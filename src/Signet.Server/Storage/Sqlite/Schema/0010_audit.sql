-- Where the audit trail begins and how far it goes, apart from its files: a trail that was cut off or written anew no longer fits.
CREATE TABLE audit_anchors (
  id             INTEGER PRIMARY KEY CHECK (id = 1),
  start_sequence INTEGER NOT NULL,
  start_hash     TEXT NOT NULL,
  head_sequence  INTEGER NOT NULL,
  head_hash      TEXT NOT NULL
) STRICT;
