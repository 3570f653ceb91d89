-- columns --
-- Those that StorageRow has, in its order; a newer schema may have more.
storage.no, storage.id, storage.noun, storage.user_id, storage.name, storage.title,
storage.general_access, storage.secret, storage.token_id, storage.schema, storage.created_at,
storage.modified_at, storage.accessed_at, storage.read_count, storage.write_count,
storage.delete_count, storage.list_count, storage.head_read_count, storage.bytes,
storage.item_count, storage.clean_count, storage.tail_first, storage.tail_rows,
storage.tail_bytes, storage.request_count, storage.handled_count, storage.first_ord,
storage.last_ord, storage.client_key, storage.many_clients

-- find_id --
SELECT <columns> FROM storage WHERE id = :id AND noun = :noun;

-- find_own --
SELECT <columns> FROM storage WHERE user_id = :user_id AND noun = :noun AND name = :name;

-- find_own @postgres --
SELECT <columns> FROM storage
WHERE user_id = :user_id AND noun = :noun AND name IS NOT NULL
    AND lower(name) = lower(:name COLLATE "C");

-- find_other --
SELECT <columns> FROM storage JOIN "user" ON "user".id = storage.user_id
WHERE "user".username = :username AND noun = :noun AND name = :name;

-- find_other @postgres --
SELECT <columns> FROM storage JOIN "user" ON "user".id = storage.user_id
WHERE lower(username) = lower(:username COLLATE "C") AND noun = :noun AND name IS NOT NULL
    AND lower(name) = lower(:name COLLATE "C");

-- place --
-- right: of the user who asks, null for none.
SELECT storage.id, storage.user_id,
    CASE general_access WHEN 'FOLLOW_USER_SETTING'
    THEN coalesce(default_access, general_access) ELSE general_access END,
    secret,
    CASE storage.user_id WHEN :user_id THEN 'own'
    ELSE (SELECT level FROM granted WHERE storage_no = no AND granted.user_id = :user_id) END,
    token_id
FROM storage JOIN "user" ON "user".id = storage.user_id
WHERE storage.id = :id AND noun = :noun;

-- username --
SELECT username FROM "user" WHERE id = :id;

-- shared --
-- What somebody has a right on. SQLite is told to begin with the rights.
granted CROSS JOIN storage ON no = storage_no

-- shared @postgres --
granted JOIN storage ON no = storage_no

-- list --
-- What a user owns, and what others share with them.
SELECT <columns> FROM storage
WHERE :own AND user_id = :user_id AND noun = :noun
    AND (name IS NOT NULL OR (:unnamed AND accessed_at > :over))
UNION ALL
SELECT <columns> FROM <shared>
WHERE :shared AND granted.user_id = :user_id AND noun = :noun
    AND (name IS NOT NULL OR (:unnamed AND accessed_at > :over))
ORDER BY created_at, no LIMIT :limit OFFSET :offset;

-- list_desc --
SELECT <columns> FROM storage
WHERE :own AND user_id = :user_id AND noun = :noun
    AND (name IS NOT NULL OR (:unnamed AND accessed_at > :over))
UNION ALL
SELECT <columns> FROM <shared>
WHERE :shared AND granted.user_id = :user_id AND noun = :noun
    AND (name IS NOT NULL OR (:unnamed AND accessed_at > :over))
ORDER BY created_at DESC, no DESC LIMIT :limit OFFSET :offset;

-- total --
SELECT
    (SELECT count(*) FROM storage
     WHERE :own AND user_id = :user_id AND noun = :noun
         AND (name IS NOT NULL OR (:unnamed AND accessed_at > :over)))
    + (SELECT count(*) FROM <shared>
       WHERE :shared AND granted.user_id = :user_id AND noun = :noun
           AND (name IS NOT NULL OR (:unnamed AND accessed_at > :over)));

-- create --
INSERT INTO storage
    (id, noun, user_id, name, secret, token_id, schema, created_at, modified_at, accessed_at)
VALUES (:id, :noun, :user_id, :name, :secret, :token_id, :schema, :now, :now, :now)
RETURNING <columns>;

-- update --
-- Changes rights.
UPDATE storage
SET name = CASE WHEN :set_name THEN :name ELSE name END,
    title = CASE WHEN :set_title THEN :title ELSE title END,
    general_access = coalesce(:general_access, general_access),
    modified_at = :now, accessed_at = :now
WHERE no = :no
RETURNING <columns>;

-- delete --
DELETE FROM storage WHERE no = :no RETURNING no;

-- list_erased --
INSERT INTO erased (storage_no, noun) VALUES (:no, :noun);

-- list_erased @postgres --
INSERT INTO erased (storage_no, noun) SELECT * FROM unnest(:no[], :noun[]);

-- next_erased --
SELECT storage_no FROM erased WHERE noun = :noun ORDER BY storage_no LIMIT 1;

-- hold_erased --
SELECT storage_no FROM erased WHERE storage_no = :no;

-- hold_erased @postgres --
-- Of two that erase the same, one waits, and then sees what is left.
SELECT storage_no FROM erased WHERE storage_no = :no FOR UPDATE;

-- strike_erased --
DELETE FROM erased WHERE storage_no = :no;

-- touch --
UPDATE storage SET accessed_at = :now WHERE no = :no AND accessed_at < :now;

-- count --
UPDATE storage
SET read_count = read_count + :reads, list_count = list_count + :lists,
    head_read_count = head_read_count + :head_reads
WHERE no = :no;

-- count @postgres --
UPDATE storage
SET read_count = read_count + reads, list_count = list_count + lists,
    head_read_count = head_read_count + head_reads
FROM unnest(:no[], :reads[], :lists[], :head_reads[]) AS new (no, reads, lists, head_reads)
WHERE storage.no = new.no;

-- hold --
-- Who writes next to a storage: nobody else, until this transaction ends. SQLite has one
-- writer anyway.
SELECT no FROM storage WHERE no = :no;

-- hold @postgres --
SELECT no FROM storage WHERE no = :no FOR NO KEY UPDATE;

-- answered --
SELECT answer FROM answered WHERE storage_no = :no AND key = :key AND at > :since;

-- answer --
INSERT INTO answered (storage_no, key, at, answer) VALUES (:no, :key, :now, :answer)
ON CONFLICT (storage_no, key) DO UPDATE SET at = excluded.at, answer = excluded.answer;

-- forget_answers --
DELETE FROM answered WHERE storage_no = :no;

-- forget_old_answers --
DELETE FROM answered WHERE at < :before;
