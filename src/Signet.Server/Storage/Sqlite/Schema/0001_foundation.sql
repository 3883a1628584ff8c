-- Times are Unix milliseconds; lists are JSON arrays; certificates are DER.
CREATE TABLE authorities (
  seq         INTEGER PRIMARY KEY AUTOINCREMENT,
  id          TEXT NOT NULL UNIQUE,
  tier        TEXT NOT NULL CHECK (tier IN ('anchor', 'issuing')),
  state       TEXT NOT NULL CHECK (state IN ('prepared', 'active', 'old')),
  certificate BLOB NOT NULL,
  key_name    TEXT NOT NULL
) STRICT;

CREATE TABLE issued_certificates (
  serial       TEXT NOT NULL PRIMARY KEY,
  spiffe_id    TEXT NOT NULL,
  requested_by TEXT NOT NULL,
  authority_id TEXT NOT NULL,
  not_before   INTEGER NOT NULL,
  not_after    INTEGER NOT NULL,
  issued_at    INTEGER NOT NULL,
  certificate  BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX issued_by_expiry ON issued_certificates (not_after);

-- Only the digest of a token is kept, until it is used or too old.
CREATE TABLE join_tokens (
  digest     BLOB NOT NULL PRIMARY KEY,
  alias      TEXT,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE agents (
  spiffe_id   TEXT NOT NULL PRIMARY KEY,
  attestor    TEXT NOT NULL,
  selectors   TEXT NOT NULL,
  serial      TEXT NOT NULL,
  pending     TEXT,
  not_after   INTEGER NOT NULL,
  attested_at INTEGER NOT NULL,
  banned      INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE entries (
  id             TEXT NOT NULL PRIMARY KEY,
  spiffe_id      TEXT NOT NULL,
  parent_id      TEXT NOT NULL,
  selectors      TEXT NOT NULL,
  dns_names      TEXT NOT NULL,
  federates_with TEXT NOT NULL,
  hint           TEXT NOT NULL,
  x509_ttl       INTEGER,
  jwt_ttl        INTEGER,
  admin          INTEGER NOT NULL,
  downstream     INTEGER NOT NULL,
  expires_at     INTEGER,
  revision       INTEGER NOT NULL,
  created_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
