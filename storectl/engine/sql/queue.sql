-- who --
many_clients = CASE WHEN :client_key IS NULL OR client_key <> :client_key
    THEN 1 ELSE many_clients END,
client_key = coalesce(client_key, :client_key)

-- places --
first_ord = first_ord - CASE WHEN :forefront THEN :count ELSE 0 END,
last_ord = last_ord + CASE WHEN :forefront THEN 0 ELSE :count END

-- book --
-- Count a write and take places at one end of the queue, in one step.
UPDATE storage
SET request_count = request_count + :requests, handled_count = handled_count + :handled,
    bytes = bytes + :bytes, write_count = write_count + :writes,
    delete_count = delete_count + :deletes,
    first_ord = first_ord - :before, last_ord = last_ord + :behind,
    <who>,
    modified_at = :now, accessed_at = :now
WHERE no = :no
RETURNING first_ord, last_ord, many_clients;

-- hold --
-- Who writes next to some requests and their queue. SQLite has one writer anyway.
SELECT no FROM storage WHERE no = :no;

-- hold @postgres --
-- First the requests, by ID, then the row of the queue: whoever writes here keeps that order.
WITH held AS MATERIALIZED (
    SELECT id FROM request
    WHERE storage_no = :no
        AND id = ANY (ARRAY(SELECT json_array_elements_text(CAST(:ids AS json))))
    ORDER BY id FOR UPDATE
)
SELECT no FROM storage WHERE no = :no AND (SELECT count(*) FROM held) >= 0 FOR NO KEY UPDATE;

-- seen --
UPDATE storage
SET <who>
WHERE no = :no
RETURNING many_clients;

-- known --
SELECT id, ord IS NULL FROM request
WHERE storage_no = :no AND id IN (SELECT value FROM json_each(:ids));

-- known @postgres --
-- An array: to join with a list of IDs PostgreSQL may read the whole queue.
SELECT id, ord IS NULL FROM request
WHERE storage_no = :no AND id = ANY (ARRAY(SELECT json_array_elements_text(CAST(:ids AS json))));

-- there --
SELECT id, no, ord, locked_until IS NOT NULL AND locked_until > :now, length(body) FROM request
WHERE storage_no = :no AND id IN (SELECT value FROM json_each(:ids));

-- there @postgres --
SELECT id, 0, ord, locked_until IS NOT NULL AND locked_until > :now, length(body) FROM request
WHERE storage_no = :no AND id = ANY (ARRAY(SELECT json_array_elements_text(CAST(:ids AS json))))
ORDER BY id FOR UPDATE;

-- insert --
INSERT INTO request (storage_no, id, ord, crc, body) VALUES (:no, :id, :ord, :crc, :body);

-- insert @postgres --
INSERT INTO request (storage_no, id, ord, crc, body)
SELECT * FROM unnest(:no[], :id[], :ord[], :crc[], :body[]);

-- update --
UPDATE request
SET ord = :ord, locked_until = NULL, locked_by = NULL, crc = :crc, body = :body
WHERE no = :request_no;

-- update @postgres --
UPDATE request
SET ord = new.ord, locked_until = NULL, locked_by = NULL, crc = new.crc, body = new.body
FROM unnest(:no[], :id[], :ord[], :crc[], :body[]) AS new (no, id, ord, crc, body)
WHERE storage_no = new.no AND request.id = new.id;

-- delete --
DELETE FROM request
WHERE storage_no = :no AND id IN (SELECT value FROM json_each(:ids))
RETURNING ord IS NULL, length(body);

-- delete @postgres --
DELETE FROM request
WHERE storage_no = :no AND id = ANY (ARRAY(SELECT json_array_elements_text(CAST(:ids AS json))))
RETURNING ord IS NULL, length(body);

-- hold_queue @postgres --
SELECT no FROM storage WHERE no = :no FOR NO KEY UPDATE;

-- add @postgres --
-- What is not there yet is counted on the row of the queue and inserted, of a queue that was
-- used lately: behind hold_queue in the same round trip, so that no other who adds is at it.
-- Places are given to all, and those of the known stay empty.
WITH given AS MATERIALIZED (
    SELECT * FROM unnest(:id[], :is_handled[], :crc[], :body[])
        WITH ORDINALITY AS given (id, is_handled, crc, body, nth)
), known AS MATERIALIZED (
    SELECT id, ord IS NULL AS was_handled FROM request
    WHERE storage_no = :no AND id = ANY (:id[])
), fresh AS MATERIALIZED (
    SELECT * FROM given WHERE id NOT IN (SELECT id FROM known)
), sums AS (
    SELECT count(*) AS requests, count(*) FILTER (WHERE is_handled) AS handled,
        CAST(sum(length(body)) AS BIGINT) AS size
    FROM fresh
), booked AS (
    UPDATE storage
    SET request_count = request_count + requests, handled_count = handled_count + handled,
        bytes = bytes + size, write_count = write_count + requests,
        <places>,
        <who>,
        modified_at = :now, accessed_at = :now
    FROM sums WHERE no = :no AND accessed_at > :since AND requests > 0
    RETURNING first_ord, last_ord
), kept AS (
    INSERT INTO request (storage_no, id, ord, crc, body)
    SELECT :no, id, CASE WHEN is_handled THEN NULL
        WHEN :forefront THEN first_ord + :count - nth ELSE last_ord - :count + nth END, crc, body
    FROM fresh, booked
)
SELECT id, was_handled FROM known UNION ALL SELECT NULL, NULL FROM booked;

-- rewrite @postgres --
-- Requests with distinct IDs that are all there, else none of them, of a queue that was used
-- lately. They are locked by ID, and the row of the queue after them.
WITH there AS MATERIALIZED (
    SELECT id, ord, coalesce(locked_until, 0) > :now AS locked, length(body) AS size FROM request
    WHERE storage_no = :no AND id = ANY (:id[]) ORDER BY id FOR UPDATE
), given AS MATERIALIZED (
    SELECT given.*, ord, locked, size
    FROM unnest(:id[], :is_handled[], :crc[], :body[])
        WITH ORDINALITY AS given (id, is_handled, crc, body, nth)
    JOIN there ON there.id = given.id
), sums AS (
    SELECT count(*) AS requests, CAST(sum(length(body) - size) AS BIGINT) AS grown,
        count(*) FILTER (WHERE is_handled) - count(*) FILTER (WHERE ord IS NULL) AS handled
    FROM given
), booked AS (
    UPDATE storage
    SET handled_count = handled_count + handled, bytes = bytes + grown,
        write_count = write_count + requests,
        <places>,
        <who>,
        modified_at = :now, accessed_at = :now
    FROM sums WHERE no = :no AND accessed_at > :since AND requests = :count
    RETURNING first_ord, last_ord
), written AS (
    UPDATE request
    SET ord = CASE WHEN is_handled THEN NULL
            WHEN :forefront THEN (SELECT first_ord FROM booked) + :count - nth
            WHEN given.ord IS NULL OR locked THEN (SELECT last_ord FROM booked) - :count + nth
            ELSE given.ord END,
        locked_until = NULL, locked_by = NULL, crc = given.crc, body = given.body
    FROM given
    WHERE storage_no = :no AND request.id = given.id AND EXISTS (SELECT 1 FROM booked)
)
SELECT id, ord IS NULL FROM there WHERE EXISTS (SELECT 1 FROM booked);

-- drop @postgres --
-- The same for requests that go away, those of them that are there; how many that are, and
-- whether it was done.
WITH there AS MATERIALIZED (
    SELECT id, ord IS NULL AS was_handled, length(body) AS size FROM request
    WHERE storage_no = :no
        AND id = ANY (ARRAY(SELECT json_array_elements_text(CAST(:ids AS json))))
    ORDER BY id FOR UPDATE
), sums AS (
    SELECT count(*) AS requests, count(*) FILTER (WHERE was_handled) AS handled,
        CAST(sum(size) AS BIGINT) AS size
    FROM there
), booked AS (
    UPDATE storage
    SET request_count = request_count - requests, handled_count = handled_count - handled,
        bytes = bytes - size, delete_count = delete_count + requests,
        <who>,
        modified_at = :now, accessed_at = :now
    FROM sums WHERE no = :no AND accessed_at > :since AND requests > 0
    RETURNING no
), gone AS (
    DELETE FROM request USING there
    WHERE storage_no = :no AND request.id = there.id AND EXISTS (SELECT 1 FROM booked)
)
SELECT requests, EXISTS (SELECT 1 FROM booked) FROM sums;

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
) AS over
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

-- free @postgres --
-- Not those that another transaction has in hand.
WITH over AS MATERIALIZED (
    SELECT storage_no, id FROM request
    WHERE storage_no = :no AND locked_until <= :now
    FOR UPDATE SKIP LOCKED
)
UPDATE request SET locked_until = NULL, locked_by = NULL
FROM over WHERE request.storage_no = over.storage_no AND request.id = over.id;

-- lock --
UPDATE request
SET locked_until = :until, locked_by = :client_key, lock_gen = lock_gen + 1
WHERE no IN (
    SELECT no FROM request
    WHERE storage_no = :no AND locked_until IS NULL AND ord > -9000000000000000000
    ORDER BY ord LIMIT :limit
)
RETURNING ord, id, body;

-- lock @postgres --
-- MATERIALIZED: as a subquery it may be run again for each row, and then locks all of them.
WITH head AS MATERIALIZED (
    SELECT storage_no, id FROM request
    WHERE storage_no = :no AND locked_until IS NULL AND ord > -9000000000000000000
    ORDER BY ord LIMIT :limit FOR UPDATE SKIP LOCKED
)
UPDATE request
SET locked_until = :until, locked_by = :client_key, lock_gen = lock_gen + 1
FROM head WHERE request.storage_no = head.storage_no AND request.id = head.id
RETURNING ord, request.id, body;

-- take @postgres --
-- Lock the head and count that, in one round trip: what is free, and what was locked until
-- now, by its place. MATERIALIZED and SKIP LOCKED as above. Of the storage's row nothing is
-- held before the requests are. Nothing is taken from a queue that was not used lately.
WITH free AS MATERIALIZED (
    SELECT id, ord FROM request
    WHERE storage_no = :no AND locked_until IS NULL AND ord > -9000000000000000000
        AND EXISTS (SELECT 1 FROM storage WHERE no = :no AND accessed_at > :since)
    ORDER BY ord LIMIT :limit FOR UPDATE SKIP LOCKED
), over AS MATERIALIZED (
    SELECT id, ord FROM request WHERE storage_no = :no AND locked_until <= :now
        AND EXISTS (SELECT 1 FROM storage WHERE no = :no AND accessed_at > :since)
    ORDER BY ord LIMIT :limit FOR UPDATE SKIP LOCKED
), head AS MATERIALIZED (
    SELECT id FROM (SELECT id, ord FROM free UNION ALL SELECT id, ord FROM over) AS both_kinds
    ORDER BY ord LIMIT :limit
), taken AS (
    UPDATE request
    SET locked_until = :until, locked_by = :client_key, lock_gen = lock_gen + 1
    FROM head WHERE storage_no = :no AND request.id = head.id
    RETURNING ord, request.id, body
), booked AS (
    UPDATE storage
    SET write_count = write_count + (SELECT count(*) FROM head),
        <who>,
        modified_at = :now, accessed_at = :now
    WHERE no = :no AND EXISTS (SELECT 1 FROM head)
    RETURNING many_clients
)
SELECT ord, id, body, many_clients FROM taken, booked;

-- prolong --
-- coalesce: or PostgreSQL may go through all that is locked, by its index.
UPDATE request SET locked_until = :until, ord = :ord
WHERE storage_no = :no AND id = :id
    AND coalesce(locked_until, 0) > :now AND locked_by IS NOT DISTINCT FROM :client_key
RETURNING id;

-- unlock --
UPDATE request SET locked_until = NULL, locked_by = NULL, ord = :ord
WHERE storage_no = :no AND id = :id
    AND coalesce(locked_until, 0) > :now AND locked_by IS NOT DISTINCT FROM :client_key
RETURNING id;

-- unlock_all --
UPDATE request SET locked_until = NULL, locked_by = NULL
WHERE storage_no = :no AND locked_until > :now AND locked_by IS NOT DISTINCT FROM :client_key
RETURNING id;

-- unlock_all @postgres --
WITH mine AS MATERIALIZED (
    SELECT id FROM request
    WHERE storage_no = :no AND locked_until > :now AND locked_by IS NOT DISTINCT FROM :client_key
    ORDER BY id FOR UPDATE
)
UPDATE request SET locked_until = NULL, locked_by = NULL
FROM mine WHERE storage_no = :no AND request.id = mine.id
RETURNING request.id;

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
WHERE storage_no = :no AND locked_until IS NULL AND ord > :after_ord
UNION ALL
SELECT ord, id, locked_until, locked_by, body FROM (
    SELECT ord, id, locked_until, locked_by, body FROM request INDEXED BY request_locked
    WHERE storage_no = :no AND locked_until IS NOT NULL AND ord > :after_ord
    ORDER BY ord LIMIT :limit
)
ORDER BY ord LIMIT :limit;

-- page_in_order @postgres --
SELECT ord, id, locked_until, locked_by, body FROM request
WHERE storage_no = :no AND locked_until IS NULL AND ord > :after_ord
UNION ALL
SELECT * FROM (
    SELECT ord, id, locked_until, locked_by, body FROM request
    WHERE storage_no = :no AND locked_until IS NOT NULL AND ord > :after_ord
    ORDER BY ord LIMIT :limit
) AS locked
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

-- page_few @postgres --
SELECT id, locked_until, locked_by, body FROM request
WHERE storage_no = :no AND locked_until IS NULL AND ord IS NOT NULL AND id > :after
UNION ALL
SELECT id, locked_until, locked_by, body FROM request
WHERE storage_no = :no AND locked_until IS NOT NULL AND (:locked OR locked_until <= :now)
    AND id > :after
ORDER BY id LIMIT :limit;

-- page_locked --
SELECT id, locked_until, locked_by, body FROM request INDEXED BY request_locked
WHERE storage_no = :no AND locked_until > :now AND id > :after
ORDER BY id LIMIT :limit;

-- page_locked @postgres --
SELECT id, locked_until, locked_by, body FROM request
WHERE storage_no = :no AND locked_until > :now AND id > :after
ORDER BY id LIMIT :limit;

-- erase --
DELETE FROM request
WHERE no IN (SELECT no FROM request WHERE storage_no = :no LIMIT :limit)
RETURNING 1;

-- erase @postgres --
DELETE FROM request
WHERE storage_no = :no AND id IN (
    SELECT id FROM request WHERE storage_no = :no ORDER BY id LIMIT :limit
)
RETURNING 1;
