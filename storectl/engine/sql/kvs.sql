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

-- later --
:now + 1000 * coalesce((SELECT value FROM setting WHERE key = 'garbage_secs'), :secs)

-- keep @postgres --
-- Small bodies under distinct keys, into a store without a schema that was used lately: in one
-- round trip, for which the row of the store is held. What was under a key is read anew once
-- that row is held; where somebody was quicker with a new key the unique index refuses it all.
WITH box AS MATERIALIZED (
    SELECT no FROM storage
    WHERE id = :id AND noun = 'kvs' AND schema IS NULL AND accessed_at > :since
    FOR NO KEY UPDATE
), old AS MATERIALIZED (
    SELECT key, size, blob FROM record
    WHERE storage_no = (SELECT no FROM box) AND key = ANY (:key[]) FOR UPDATE
), given AS MATERIALIZED (
    SELECT * FROM unnest(
        :key[], :content_type[], :content_encoding[], :size[], :sha256[], :body[]
    ) AS given (key, content_type, content_encoding, size, sha256, body)
), changed AS (
    UPDATE record
    SET content_type = given.content_type, content_encoding = given.content_encoding,
        size = given.size, sha256 = given.sha256, modified_at = :now, blob = NULL,
        body = given.body
    FROM given
    WHERE storage_no = (SELECT no FROM box) AND record.key = given.key
        AND given.key IN (SELECT key FROM old)
), added AS (
    INSERT INTO record
        (storage_no, key, content_type, content_encoding, size, sha256, modified_at, body)
    SELECT no, key, content_type, content_encoding, size, sha256, :now, body FROM box, given
    WHERE key NOT IN (SELECT key FROM old)
), listed AS (
    INSERT INTO garbage (blob, not_before)
    SELECT blob, <later>
    FROM old WHERE blob IS NOT NULL
)
UPDATE storage
SET write_count = write_count + :count,
    bytes = bytes + :grown - (SELECT CAST(coalesce(sum(size), 0) AS BIGINT) FROM old),
    modified_at = :now, accessed_at = :now
WHERE no = (SELECT no FROM box)
RETURNING no;

-- count_put --
UPDATE storage
SET write_count = write_count + 1, bytes = bytes + :grown, modified_at = :now, accessed_at = :now
WHERE no = :no;

-- remove --
DELETE FROM record WHERE storage_no = :no AND key = :key RETURNING size, blob;

-- drop @postgres --
-- The same for a record that goes away.
WITH box AS MATERIALIZED (
    SELECT no FROM storage WHERE id = :id AND noun = 'kvs' AND accessed_at > :since
    FOR NO KEY UPDATE
), gone AS (
    DELETE FROM record WHERE storage_no = (SELECT no FROM box) AND key = :key
    RETURNING size, blob
), listed AS (
    INSERT INTO garbage (blob, not_before)
    SELECT blob, <later>
    FROM gone WHERE blob IS NOT NULL
)
UPDATE storage
SET delete_count = delete_count + 1, bytes = bytes - gone.size,
    modified_at = :now, accessed_at = :now
FROM gone WHERE no = (SELECT no FROM box)
RETURNING no;

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
INSERT INTO garbage (blob, not_before) VALUES (:blob, <later>);

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
