-- Whether an agent proves itself anew instead of renewing.
ALTER TABLE agents ADD COLUMN can_reattest INTEGER NOT NULL DEFAULT 0;
