-- What an entry says about its certificate: the kind of key, the subject and further names; empty for nothing.
ALTER TABLE entries ADD COLUMN svid_key_type TEXT NOT NULL DEFAULT '';
ALTER TABLE entries ADD COLUMN svid_subject TEXT NOT NULL DEFAULT '';
ALTER TABLE entries ADD COLUMN svid_names TEXT NOT NULL DEFAULT '[]';
