-- Every tier has all states; the bundle's sequence number and the anchor's rotation survive a restart.
CREATE TABLE authorities_with_all_states (
  seq         INTEGER PRIMARY KEY AUTOINCREMENT,
  id          TEXT NOT NULL UNIQUE,
  tier        TEXT NOT NULL CHECK (tier IN ('anchor', 'issuing', 'jwt')),
  state       TEXT NOT NULL CHECK (state IN ('prepared', 'active', 'old', 'tainted', 'revoked')),
  certificate BLOB,
  above       BLOB,
  public_key  BLOB,
  not_before  INTEGER,
  not_after   INTEGER,
  key_name    TEXT NOT NULL,
  CHECK ((tier = 'jwt') = (certificate IS NULL)),
  CHECK ((tier = 'jwt') = (public_key IS NOT NULL AND not_before IS NOT NULL AND not_after IS NOT NULL))
) STRICT;
INSERT INTO authorities_with_all_states (seq, id, tier, state, certificate, public_key, not_before, not_after, key_name)
  SELECT seq, id, tier, state, certificate, public_key, not_before, not_after, key_name FROM authorities;
DROP TABLE authorities;
ALTER TABLE authorities_with_all_states RENAME TO authorities;

CREATE TABLE published_bundle (
  one      INTEGER PRIMARY KEY CHECK (one = 1),
  sequence INTEGER NOT NULL,
  content  TEXT NOT NULL
) STRICT;
-- A server from before counted its anchors instead; whatever it published was number 1.
INSERT INTO published_bundle SELECT 1, 1, '' WHERE EXISTS (SELECT * FROM authorities);

CREATE TABLE anchor_rotation (
  one            INTEGER PRIMARY KEY CHECK (one = 1),
  successor      TEXT NOT NULL,
  stage          TEXT NOT NULL CHECK (stage IN ('announced', 'replacing', 'done', 'aborted')),
  started_at     INTEGER NOT NULL,
  started_by     TEXT NOT NULL,
  stage_since    INTEGER NOT NULL,
  forced_because TEXT
) STRICT;
