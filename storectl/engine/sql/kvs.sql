-- record --
-- The storage is there though the key is not: then all columns of the record are null.
SELECT storage.no, accessed_at, content_type, content_encoding, size, sha256, blob,
    CASE WHEN :with_body THEN body END
FROM storage LEFT JOIN record ON storage_no = storage.no AND key = :key
WHERE storage.id = :id AND noun = 'kvs';

-- keys --
SELECT key, size, content_type, sha256 FROM record
WHERE storage_no = :no AND key >= :low AND key < :high ORDER BY key LIMIT :limit;

-- hold --
SELECT no FROM storage WHERE id = :id;

-- hold @postgres --
SELECT no FROM storage WHERE id = :id FOR NO KEY UPDATE;

-- place --
SELECT storage.no, schema, size, blob, name, accessed_at
FROM storage LEFT JOIN record ON storage_no = storage.no AND key = :key
WHERE storage.id = :id AND noun = 'kvs';

-- put --
INSERT INTO record
    (storage_no, key, content_type, content_encoding, size, sha256, modified_at, blob, body)
VALUES (:no, :key, :content_type, :content_encoding, :size, :sha256, :now, :blob, :body)
ON CONFLICT (storage_no, key) DO UPDATE SET
    content_type = excluded.content_type, content_encoding = excluded.content_encoding,
    size = excluded.size, sha256 = excluded.sha256, modified_at = excluded.modified_at,
    blob = excluded.blob, body = excluded.body;

-- count_put --
UPDATE storage
SET write_count = write_count + 1, bytes = bytes + :grown, modified_at = :now, accessed_at = :now
WHERE no = :no;

-- remove --
DELETE FROM record WHERE storage_no = :no AND key = :key RETURNING size, blob;

-- count_remove --
UPDATE storage
SET delete_count = delete_count + 1, bytes = bytes - :size, modified_at = :now, accessed_at = :now
WHERE no = :no;

-- erase --
DELETE FROM record
WHERE no IN (SELECT no FROM record WHERE storage_no = :no LIMIT :limit)
RETURNING blob;

-- erase @postgres --
DELETE FROM record
WHERE storage_no = :no AND key IN (
    SELECT key FROM record WHERE storage_no = :no ORDER BY key LIMIT :limit
)
RETURNING blob;

-- list --
INSERT INTO garbage (blob, not_before) VALUES (:blob, :not_before);

-- list @postgres --
INSERT INTO garbage (blob, not_before) SELECT * FROM unnest(:blob[], :not_before[]);

-- discard --
-- What a row named until now: listed from when the store's grace is over, or :secs.
INSERT INTO garbage (blob, not_before) VALUES (
    :blob,
    :now + 1000 * coalesce((SELECT value FROM setting WHERE key = 'garbage_secs'), :secs)
);

-- discard @postgres --
INSERT INTO garbage (blob, not_before)
SELECT blob, at + 1000 * coalesce((SELECT value FROM setting WHERE key = 'garbage_secs'), secs)
FROM unnest(:blob[], :now[], :secs[]) AS gone (blob, at, secs);

-- strike --
-- Only while no sweep may be at it: a due blob may be gone already.
DELETE FROM garbage WHERE blob = :blob AND not_before > :now RETURNING blob;

-- due --
-- None while a backup runs: it copies what was no garbage when it began.
SELECT blob FROM garbage
WHERE not_before <= :now AND NOT EXISTS (
    SELECT 1 FROM lease
    WHERE name > 'backup-' AND name < 'backup.' AND until BETWEEN :now AND :now + 7200000
)
ORDER BY not_before LIMIT :limit;

-- collected --
DELETE FROM garbage WHERE blob = :blob;

-- collected @postgres --
DELETE FROM garbage WHERE blob = ANY(:blob[]);
