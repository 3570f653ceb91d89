-- remembered --
SELECT key, place FROM setting WHERE key IN ('blobs', 'blobs_mark');

-- remember --
INSERT INTO setting (key, place) VALUES (:key, :place)
ON CONFLICT (key) DO UPDATE SET place = excluded.place;

-- holds --
-- Any record whose bytes are a blob.
SELECT 1 FROM record WHERE blob IS NOT NULL LIMIT 1;

-- state --
-- Of moves: into this store, and from it.
SELECT key, place FROM setting WHERE key IN ('move', 'moving');
