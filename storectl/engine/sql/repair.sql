-- Each counts anew inside its transaction: a server may write meanwhile.

-- reindex --
REINDEX;

-- recount_dataset --
UPDATE storage
SET item_count = (SELECT coalesce(max(first + count), 0) FROM chunk WHERE storage_no = :no),
    bytes = (SELECT coalesce(sum(raw_bytes), 0) FROM chunk WHERE storage_no = :no)
WHERE no = :no;

-- close_tail --
-- Its rows stay, as chunks like others.
UPDATE storage SET tail_rows = 0, tail_bytes = 0 WHERE no = :no;

-- add_clean --
UPDATE storage SET clean_count = clean_count + :missing WHERE no = :no;

-- describe_chunk --
UPDATE chunk SET count = :count, raw_bytes = :raw_bytes, ends = :ends WHERE no = :chunk_no;

-- recount_kvs --
UPDATE storage
SET bytes = (SELECT coalesce(sum(size), 0) FROM record WHERE storage_no = :no)
WHERE no = :no;

-- recount_queue --
UPDATE storage
SET request_count = (SELECT count(*) FROM request WHERE storage_no = :no),
    handled_count = (SELECT count(*) FROM request WHERE storage_no = :no AND ord IS NULL),
    bytes = (SELECT coalesce(sum(length(body)), 0) FROM request WHERE storage_no = :no),
    first_ord = min(first_ord,
        (SELECT coalesce(min(ord), 0) FROM request WHERE storage_no = :no)),
    last_ord = max(last_ord,
        (SELECT coalesce(max(ord), 0) FROM request WHERE storage_no = :no))
WHERE no = :no;

-- part_places --
-- Of requests on one place all but the first go to the end.
UPDATE request SET ord = behind.ord FROM (
    SELECT no, row_number() OVER (ORDER BY ord, no) + max(
        (SELECT last_ord FROM storage WHERE no = :no),
        (SELECT max(ord) FROM request WHERE storage_no = :no)
    ) AS ord
    FROM (
        SELECT no, ord, row_number() OVER (PARTITION BY ord ORDER BY no) AS nth
        FROM request WHERE storage_no = :no AND ord IS NOT NULL
    )
    WHERE nth > 1
) AS behind
WHERE request.no = behind.no;

-- unlock --
UPDATE request SET locked_until = NULL, locked_by = NULL
WHERE storage_no = :no AND (ord IS NULL OR locked_until IS NULL)
    AND (locked_until IS NOT NULL OR locked_by IS NOT NULL);

-- handle --
UPDATE request SET ord = NULL, locked_until = NULL, locked_by = NULL WHERE no = :request_no;

-- place --
UPDATE request SET ord = 1 + max(
    (SELECT last_ord FROM storage WHERE no = :no),
    (SELECT coalesce(max(ord), 0) FROM request WHERE storage_no = :no)
)
WHERE no = :request_no AND ord IS NULL;

-- adopt --
-- Contents without a storage become one again, restricted, with a name so that it stays.
INSERT INTO storage
    (no, id, noun, user_id, name, general_access, secret, created_at, modified_at, accessed_at)
SELECT :no, :id, :noun, user.id, :name, 'RESTRICTED', :secret, :now, :now, :now
FROM user ORDER BY created_at, id LIMIT 1
ON CONFLICT DO NOTHING;

-- strike_erased --
DELETE FROM erased
WHERE storage_no = :no AND EXISTS (SELECT 1 FROM storage WHERE no = :no);

-- forget_grant --
DELETE FROM granted
WHERE storage_no = :no AND NOT EXISTS (SELECT 1 FROM storage WHERE no = :no);

-- forget_link --
DELETE FROM link
WHERE storage_no = :no AND NOT EXISTS (SELECT 1 FROM storage WHERE no = :no);

-- forget_answer --
DELETE FROM answered
WHERE storage_no = :no AND NOT EXISTS (SELECT 1 FROM storage WHERE no = :no);

-- list_blob --
INSERT INTO garbage (blob, not_before) VALUES (:blob, :not_before) ON CONFLICT DO NOTHING;
