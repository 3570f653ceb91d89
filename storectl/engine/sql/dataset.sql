-- reserve --
-- Take the next :count positions in one step, so that two pushes never share one;
-- a small push becomes a row of the tail.
UPDATE storage
SET tail_first = CASE WHEN :small = 1 AND tail_rows = 0 THEN item_count ELSE tail_first END,
    tail_rows = tail_rows + :small, tail_bytes = tail_bytes + :small * :bytes,
    item_count = item_count + :count, clean_count = clean_count + :clean,
    bytes = bytes + :bytes, write_count = write_count + 1,
    modified_at = :now, accessed_at = :now
WHERE no = :no
RETURNING item_count - :count, tail_first, tail_rows, tail_bytes;

-- append --
INSERT INTO chunk (storage_no, first, count, raw_bytes, codec, crc, ends, body)
VALUES (:no, :first, :count, :raw_bytes, :codec, :crc, :ends, :body);

-- push @postgres --
-- Both in one round trip, and the row of the storage is held no longer than that takes: a chunk
-- each of some pushes into a dataset that was used lately. Large ones only where there is no
-- tail to fold. behind: items of those before it.
WITH taken AS (
    UPDATE storage
    SET tail_first = CASE WHEN :small = 1 AND tail_rows = 0 THEN item_count ELSE tail_first END,
        tail_rows = tail_rows + :small * :pushes, tail_bytes = tail_bytes + :small * :size,
        item_count = item_count + :items, clean_count = clean_count + :clean,
        bytes = bytes + :size, write_count = write_count + :pushes,
        modified_at = :now, accessed_at = :now
    WHERE no = :no AND accessed_at > :since AND (:small = 1 OR tail_rows = 0)
    RETURNING item_count - :items AS first, tail_rows, tail_bytes
), kept AS (
    INSERT INTO chunk (storage_no, first, count, raw_bytes, codec, crc, ends, body)
    SELECT :no, first + behind, count, raw_bytes, codec, crc, ends, body
    FROM taken, unnest(
        :behind[], :count[], :raw_bytes[], :codec[], :crc[], :ends[], :body[]
    ) AS chunk (behind, count, raw_bytes, codec, crc, ends, body)
)
SELECT tail_rows, tail_bytes FROM taken;

-- tail_of --
SELECT tail_first, tail_rows, tail_bytes FROM storage WHERE no = :no;

-- tail_of @postgres --
SELECT tail_first, tail_rows, tail_bytes FROM storage WHERE no = :no FOR NO KEY UPDATE;

-- no_tail --
UPDATE storage SET tail_rows = 0, tail_bytes = 0 WHERE no = :no;

-- tail --
SELECT codec, crc, body FROM chunk WHERE storage_no = :no AND first >= :first ORDER BY first;

-- cut_tail --
DELETE FROM chunk WHERE storage_no = :no AND first >= :first;

-- chunks --
-- From the chunk that holds position :at on. Folding may replace the chunks that
-- an earlier page ended with, so each page finds its place anew.
SELECT first, count, codec, raw_bytes, crc, ends, body FROM chunk
WHERE storage_no = :no AND first >= (
    SELECT first FROM chunk WHERE storage_no = :no AND first <= :at ORDER BY first DESC LIMIT 1
)
ORDER BY first LIMIT :limit;

-- chunks_back --
SELECT first, count, codec, raw_bytes, crc, ends, body FROM chunk
WHERE storage_no = :no AND first <= :at ORDER BY first DESC LIMIT :limit;

-- raw_bytes --
-- Of the chunks with positions [:at, :stop). Those that reach over it come with their ends.
SELECT first, raw_bytes, CASE WHEN first < :at OR first + count > :stop THEN ends END FROM chunk
WHERE storage_no = :no AND first < :stop AND first >= (
    SELECT first FROM chunk WHERE storage_no = :no AND first <= :at ORDER BY first DESC LIMIT 1
)
ORDER BY first;

-- erase --
DELETE FROM chunk
WHERE no IN (SELECT no FROM chunk WHERE storage_no = :no LIMIT :limit)
RETURNING 1;

-- erase @postgres --
DELETE FROM chunk
WHERE storage_no = :no AND first IN (
    SELECT first FROM chunk WHERE storage_no = :no ORDER BY first LIMIT :limit
)
RETURNING 1;
