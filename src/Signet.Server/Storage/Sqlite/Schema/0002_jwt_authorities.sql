-- A JWT key has no certificate: its public key and its dates are kept instead.
CREATE TABLE authorities_of_all_tiers (
  seq         INTEGER PRIMARY KEY AUTOINCREMENT,
  id          TEXT NOT NULL UNIQUE,
  tier        TEXT NOT NULL CHECK (tier IN ('anchor', 'issuing', 'jwt')),
  state       TEXT NOT NULL CHECK (state IN ('prepared', 'active', 'old')),
  certificate BLOB,
  public_key  BLOB,
  not_before  INTEGER,
  not_after   INTEGER,
  key_name    TEXT NOT NULL,
  CHECK ((tier = 'jwt') = (certificate IS NULL)),
  CHECK ((tier = 'jwt') = (public_key IS NOT NULL AND not_before IS NOT NULL AND not_after IS NOT NULL))
) STRICT;
INSERT INTO authorities_of_all_tiers (seq, id, tier, state, certificate, key_name) SELECT seq, id, tier, state, certificate, key_name FROM authorities;
DROP TABLE authorities;
ALTER TABLE authorities_of_all_tiers RENAME TO authorities;
