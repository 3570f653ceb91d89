-- storages --
SELECT * FROM storage WHERE no > :after ORDER BY no LIMIT :limit;

-- storage --
SELECT * FROM storage WHERE no = :no;

-- total_bytes --
SELECT coalesce(sum(bytes), 0) FROM storage;

-- indexes --
SELECT name, rootpage FROM sqlite_schema WHERE type = 'index';

-- schema --
SELECT name, coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite\_stat%' ESCAPE '\';

-- stuck --
-- Bytes that are free in a file which can give none back, if they are many: of an older store.
SELECT freelist_count * page_size
FROM pragma_freelist_count, pragma_page_count, pragma_page_size, pragma_auto_vacuum
WHERE auto_vacuum = 0 AND freelist_count > max(4096, page_count / 5);

-- dataset --
SELECT coalesce(sum(count), 0), coalesce(sum(raw_bytes), 0), coalesce(max(first + count), 0)
FROM chunk WHERE storage_no = :no;

-- tail --
SELECT count(*), coalesce(sum(raw_bytes), 0)
FROM chunk WHERE storage_no = :no AND first >= :first;

-- gaps --
-- Where chunks do not go on at the item that the one before has ended with.
SELECT stop, first FROM (
    SELECT first, lag(first + count, 1, 0) OVER (ORDER BY first) AS stop
    FROM chunk WHERE storage_no = :no
)
WHERE first <> stop ORDER BY first LIMIT :limit;

-- chunk_heads --
-- From the chunk that holds position :at on, or the next one.
SELECT no, first, count, raw_bytes, codec, crc, ends FROM chunk
WHERE storage_no = :no AND first >= coalesce((
    SELECT first FROM chunk WHERE storage_no = :no AND first <= :at ORDER BY first DESC LIMIT 1
), :at)
ORDER BY first LIMIT :limit;

-- chunk_body --
SELECT body FROM chunk WHERE no = :no;

-- kvs --
SELECT count(*), coalesce(sum(size), 0) FROM record WHERE storage_no = :no;

-- misshapen --
SELECT key FROM record
WHERE storage_no = :no AND ((blob IS NULL) = (body IS NULL) OR length(sha256) <> 32
    OR (blob IS NULL AND length(body) <> size))
ORDER BY key LIMIT :limit;

-- blobs --
SELECT key, size, sha256, blob FROM record
WHERE storage_no = :no AND key > :after AND blob IS NOT NULL ORDER BY key LIMIT :limit;

-- blob --
SELECT blob FROM record WHERE storage_no = :no AND key = :key;

-- records --
SELECT no, key FROM record WHERE storage_no = :no AND key > :after ORDER BY key LIMIT :limit;

-- record --
SELECT size, sha256, body FROM record WHERE no = :no AND blob IS NULL;

-- queue --
-- The last two: requests whose place another has, and locks by half or of what is handled.
SELECT count(*), coalesce(sum(ord IS NULL), 0), coalesce(sum(length(body)), 0),
    coalesce(min(ord), 0), coalesce(max(ord), 0), count(ord) - count(DISTINCT ord),
    coalesce(sum(
        (ord IS NULL AND locked_until IS NOT NULL)
        OR (locked_until IS NULL AND locked_by IS NOT NULL)
    ), 0)
FROM request WHERE storage_no = :no;

-- requests --
SELECT no, id FROM request WHERE storage_no = :no AND id > :after ORDER BY id LIMIT :limit;

-- request --
SELECT ord IS NULL, crc, body FROM request WHERE no = :no;

-- lost_owners --
-- Contents of storages that are neither there nor being deleted.
SELECT noun, no FROM (
    SELECT DISTINCT 'dataset' AS noun, storage_no AS no FROM chunk
    UNION SELECT DISTINCT 'kvs', storage_no FROM record
    UNION SELECT DISTINCT 'queue', storage_no FROM request
)
WHERE no NOT IN (SELECT no FROM storage) AND no NOT IN (SELECT storage_no FROM erased)
ORDER BY no;

-- erased_alive --
SELECT no, storage.noun, id FROM erased JOIN storage ON no = storage_no;

-- lost_rights --
SELECT 'grant', storage_no, count(*) FROM granted
WHERE storage_no NOT IN (SELECT no FROM storage)
    AND storage_no NOT IN (SELECT storage_no FROM erased)
GROUP BY storage_no
UNION ALL
SELECT 'link', storage_no, count(*) FROM link
WHERE storage_no NOT IN (SELECT no FROM storage)
    AND storage_no NOT IN (SELECT storage_no FROM erased)
GROUP BY storage_no
UNION ALL
-- A call that raced with the deletion may leave one; it goes after 24 hours by itself.
SELECT 'answer', storage_no, count(*) FROM answered
WHERE storage_no NOT IN (SELECT no FROM storage)
    AND storage_no NOT IN (SELECT storage_no FROM erased) AND at < :before
GROUP BY storage_no;

-- late --
SELECT count(*) FROM garbage WHERE not_before < :before;

-- blobs_place --
SELECT place FROM setting WHERE key = 'blobs';

-- remember_files --
CREATE TEMP TABLE IF NOT EXISTS file (blob TEXT PRIMARY KEY) WITHOUT ROWID;

-- forget_files --
DELETE FROM file;

-- remember_file --
INSERT INTO file (blob) VALUES (:blob) ON CONFLICT DO NOTHING;

-- unnamed_files --
SELECT blob FROM file WHERE blob NOT IN (SELECT blob FROM garbage)
EXCEPT SELECT blob FROM record WHERE blob IS NOT NULL
ORDER BY blob LIMIT :limit;
