-- Keys for WIT-SVIDs beside those for JWT-SVIDs.
CREATE TABLE authorities_with_wit (
  seq         INTEGER PRIMARY KEY AUTOINCREMENT,
  id          TEXT NOT NULL UNIQUE,
  tier        TEXT NOT NULL CHECK (tier IN ('anchor', 'issuing', 'jwt', 'wit')),
  state       TEXT NOT NULL CHECK (state IN ('prepared', 'active', 'old', 'tainted', 'revoked')),
  certificate BLOB,
  above       BLOB,
  public_key  BLOB,
  not_before  INTEGER,
  not_after   INTEGER,
  key_name    TEXT NOT NULL,
  CHECK ((tier IN ('jwt', 'wit')) = (certificate IS NULL)),
  CHECK ((tier IN ('jwt', 'wit')) = (public_key IS NOT NULL AND not_before IS NOT NULL AND not_after IS NOT NULL))
) STRICT;
INSERT INTO authorities_with_wit SELECT seq, id, tier, state, certificate, above, public_key, not_before, not_after, key_name FROM authorities;
DROP TABLE authorities;
ALTER TABLE authorities_with_wit RENAME TO authorities;
