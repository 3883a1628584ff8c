-- A relationship without an endpoint's ID is of the web profile.
CREATE TABLE federation_relationships (
  trust_domain TEXT NOT NULL PRIMARY KEY,
  url          TEXT NOT NULL,
  endpoint_id  TEXT
) STRICT, WITHOUT ROWID;

-- Bundles of other trust domains in the SPIFFE bundle format.
CREATE TABLE federated_bundles (
  trust_domain TEXT NOT NULL PRIMARY KEY,
  bundle       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
