-- The time of the last access changes with every write: as long as it stands in an index, each
-- of them makes a new entry in all indexes of the row. The time of creation never changes, and
-- nothing was accessed before it.
CREATE INDEX storage_unnamed_created ON storage (created_at) WHERE name IS NULL;
DROP INDEX storage_unnamed;
