-- book --
-- Count a write and take places at one end of the queue, in one step.
UPDATE storage
SET request_count = request_count + :requests, handled_count = handled_count + :handled,
    bytes = bytes + :bytes, write_count = write_count + :writes,
    delete_count = delete_count + :deletes,
    first_ord = first_ord - :before, last_ord = last_ord + :behind,
    many_clients = CASE WHEN :client_key IS NULL OR client_key <> :client_key
        THEN 1 ELSE many_clients END,
    client_key = coalesce(client_key, :client_key),
    modified_at = :now, accessed_at = :now
WHERE no = :no
RETURNING first_ord, last_ord, many_clients;

-- seen --
UPDATE storage
SET many_clients = CASE WHEN :client_key IS NULL OR client_key <> :client_key
        THEN 1 ELSE many_clients END,
    client_key = coalesce(client_key, :client_key)
WHERE no = :no
RETURNING many_clients;

-- known --
SELECT id, ord IS NULL FROM request
WHERE storage_no = :no AND id IN (SELECT value FROM json_each(:ids));

-- there --
SELECT id, no, ord, coalesce(locked_until > :now, 0), length(body) FROM request
WHERE storage_no = :no AND id IN (SELECT value FROM json_each(:ids));

-- insert --
INSERT INTO request (storage_no, id, ord, body) VALUES (:no, :id, :ord, :body);

-- update --
UPDATE request SET ord = :ord, locked_until = NULL, locked_by = NULL, body = :body
WHERE no = :request_no;

-- delete --
DELETE FROM request
WHERE storage_no = :no AND id IN (SELECT value FROM json_each(:ids))
RETURNING ord IS NULL, length(body);

-- request --
SELECT id, locked_until, locked_by, body FROM request WHERE storage_no = :no AND id = :id;

-- head --
-- The bound on ord tells nothing new; with it the index gives the order in any state
-- of the statistics. Requests whose lock is over are few: a lock_head frees them.
SELECT ord, id, body FROM request
WHERE storage_no = :no AND locked_until IS NULL AND ord > -9000000000000000000
UNION ALL
SELECT ord, id, body FROM (
    SELECT ord, id, body FROM request
    WHERE storage_no = :no AND locked_until <= :now
    ORDER BY ord LIMIT :limit
)
ORDER BY ord LIMIT :limit;

-- any_free --
SELECT 1 WHERE EXISTS (
    SELECT 1 FROM request
    WHERE storage_no = :no AND locked_until IS NULL AND ord > -9000000000000000000
) OR EXISTS (
    SELECT 1 FROM request WHERE storage_no = :no AND locked_until <= :now
);

-- any_locked --
SELECT 1 FROM request WHERE storage_no = :no AND locked_until > :now LIMIT 1;

-- free --
-- Write down which locks are over, so that one index scan finds the head.
UPDATE request SET locked_until = NULL, locked_by = NULL
WHERE storage_no = :no AND locked_until <= :now;

-- lock --
UPDATE request
SET locked_until = :until, locked_by = :client_key, lock_gen = lock_gen + 1
WHERE no IN (
    SELECT no FROM request
    WHERE storage_no = :no AND locked_until IS NULL AND ord > -9000000000000000000
    ORDER BY ord LIMIT :limit
)
RETURNING ord, id, body;

-- prolong --
UPDATE request SET locked_until = :until, ord = :ord
WHERE storage_no = :no AND id = :id
    AND locked_until > :now AND locked_by IS NOT DISTINCT FROM :client_key
RETURNING no;

-- unlock --
UPDATE request SET locked_until = NULL, locked_by = NULL, ord = :ord
WHERE storage_no = :no AND id = :id
    AND locked_until > :now AND locked_by IS NOT DISTINCT FROM :client_key
RETURNING no;

-- unlock_all --
UPDATE request SET locked_until = NULL, locked_by = NULL
WHERE storage_no = :no AND locked_until > :now AND locked_by IS NOT DISTINCT FROM :client_key
RETURNING no;

-- state --
SELECT ord IS NULL, locked_until > :now FROM request WHERE storage_no = :no AND id = :id;

-- page --
SELECT id, locked_until, locked_by, body FROM request
WHERE storage_no = :no AND id > :after
ORDER BY id LIMIT :limit;

-- page_unhandled --
SELECT id, locked_until, locked_by, body FROM request
WHERE storage_no = :no AND id > :after AND ord IS NOT NULL
    AND (:locked OR locked_until IS NULL OR locked_until <= :now)
ORDER BY id LIMIT :limit;

-- page_in_order --
-- What is unhandled, locked or not, by its place. All that is locked is sorted: that is little.
SELECT ord, id, locked_until, locked_by, body FROM request
WHERE storage_no = :no AND locked_until IS NULL AND ord > :place
UNION ALL
SELECT ord, id, locked_until, locked_by, body FROM (
    SELECT ord, id, locked_until, locked_by, body FROM request INDEXED BY request_locked
    WHERE storage_no = :no AND locked_until IS NOT NULL AND ord > :place
    ORDER BY ord LIMIT :limit
)
ORDER BY ord LIMIT :limit;

-- page_few --
-- The same where few are left: sorting those is less work than passing over the handled.
SELECT id, locked_until, locked_by, body FROM request INDEXED BY request_head
WHERE storage_no = :no AND locked_until IS NULL AND ord IS NOT NULL AND id > :after
UNION ALL
SELECT id, locked_until, locked_by, body FROM request INDEXED BY request_locked
WHERE storage_no = :no AND locked_until IS NOT NULL AND (:locked OR locked_until <= :now)
    AND id > :after
ORDER BY id LIMIT :limit;

-- page_locked --
SELECT id, locked_until, locked_by, body FROM request INDEXED BY request_locked
WHERE storage_no = :no AND locked_until > :now AND id > :after
ORDER BY id LIMIT :limit;

-- erase --
DELETE FROM request
WHERE no IN (SELECT no FROM request WHERE storage_no = :no LIMIT :limit)
RETURNING 1;
