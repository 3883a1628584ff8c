-- The desired state that an entry is part of; empty for what operators keep by hand.
ALTER TABLE entries ADD COLUMN owner TEXT NOT NULL DEFAULT '';
