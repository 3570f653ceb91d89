-- The rows of each table, page by page behind a key, and how they are added to another
-- database. Contents of storages that are being deleted stay behind.

-- setting --
SELECT key, value, place
FROM setting WHERE key > :after_key
    AND key NOT IN ('blobs', 'blobs_mark', 'move', 'moving')
ORDER BY key LIMIT :limit;

-- add_setting --
INSERT INTO setting (key, value, place)
VALUES (:key, :value, :place);

-- add_setting @postgres --
INSERT INTO setting (key, value, place)
SELECT * FROM unnest(
    :key[], :value[], :place[]
);

-- user --
SELECT id, username, email, default_access, created_at
FROM "user" WHERE id > :after_id
ORDER BY id LIMIT :limit;

-- add_user --
INSERT INTO "user" (id, username, email, default_access, created_at)
VALUES (:id, :username, :email, :default_access, :created_at);

-- add_user @postgres --
INSERT INTO "user" (id, username, email, default_access, created_at)
SELECT * FROM unnest(
    :id[], :username[], :email[], :default_access[], :created_at[]
);

-- token --
SELECT id, user_id, name, hash, last4, scope, created_at, last_used_at, expires_at, revoked_at,
    previous_hash, previous_until
FROM token WHERE id > :after_id
ORDER BY id LIMIT :limit;

-- add_token --
INSERT INTO token (id, user_id, name, hash, last4, scope, created_at, last_used_at, expires_at,
    revoked_at, previous_hash, previous_until)
VALUES (:id, :user_id, :name, :hash, :last4, :scope, :created_at, :last_used_at, :expires_at,
    :revoked_at, :previous_hash, :previous_until);

-- add_token @postgres --
INSERT INTO token (id, user_id, name, hash, last4, scope, created_at, last_used_at, expires_at,
    revoked_at, previous_hash, previous_until)
SELECT * FROM unnest(
    :id[], :user_id[], :name[], :hash[], :last4[], :scope[], :created_at[], :last_used_at[],
    :expires_at[], :revoked_at[], :previous_hash[], :previous_until[]
);

-- storage --
SELECT no, id, noun, user_id, name, title, general_access, secret, token_id, schema, created_at,
    modified_at, accessed_at, read_count, write_count, delete_count, list_count, head_read_count,
    bytes, item_count, clean_count, tail_first, tail_rows, tail_bytes, request_count, handled_count,
    first_ord, last_ord, client_key, many_clients
FROM storage WHERE no > :after_no
ORDER BY no LIMIT :limit;

-- add_storage --
INSERT INTO storage (no, id, noun, user_id, name, title, general_access, secret, token_id,
    schema, created_at, modified_at, accessed_at, read_count, write_count, delete_count, list_count,
    head_read_count, bytes, item_count, clean_count, tail_first, tail_rows, tail_bytes,
    request_count, handled_count, first_ord, last_ord, client_key, many_clients)
VALUES (:no, :id, :noun, :user_id, :name, :title, :general_access, :secret, :token_id, :schema,
    :created_at, :modified_at, :accessed_at, :read_count, :write_count, :delete_count, :list_count,
    :head_read_count, :bytes, :item_count, :clean_count, :tail_first, :tail_rows, :tail_bytes,
    :request_count, :handled_count, :first_ord, :last_ord, :client_key, :many_clients);

-- add_storage @postgres --
INSERT INTO storage (no, id, noun, user_id, name, title, general_access, secret, token_id,
    schema, created_at, modified_at, accessed_at, read_count, write_count, delete_count, list_count,
    head_read_count, bytes, item_count, clean_count, tail_first, tail_rows, tail_bytes,
    request_count, handled_count, first_ord, last_ord, client_key, many_clients)
SELECT * FROM unnest(
    :no[], :id[], :noun[], :user_id[], :name[], :title[], :general_access[], :secret[],
    :token_id[], :schema[], :created_at[], :modified_at[], :accessed_at[], :read_count[],
    :write_count[], :delete_count[], :list_count[], :head_read_count[], :bytes[], :item_count[],
    :clean_count[], :tail_first[], :tail_rows[], :tail_bytes[], :request_count[],
    :handled_count[], :first_ord[], :last_ord[], :client_key[], :many_clients[]
);

-- granted --
SELECT storage_no, user_id, level, created_at
FROM granted WHERE (storage_no, user_id) > (:after_storage_no, :after_user_id)
    AND EXISTS (SELECT 1 FROM storage WHERE no = storage_no)
ORDER BY storage_no, user_id LIMIT :limit;

-- add_granted --
INSERT INTO granted (storage_no, user_id, level, created_at)
VALUES (:storage_no, :user_id, :level, :created_at);

-- add_granted @postgres --
INSERT INTO granted (storage_no, user_id, level, created_at)
SELECT * FROM unnest(
    :storage_no[], :user_id[], :level[], :created_at[]
);

-- link --
SELECT storage_no, key, expires_at, created_at
FROM link
WHERE (storage_no, key, expires_at) > (:after_storage_no, :after_key, :after_expires_at)
    AND EXISTS (SELECT 1 FROM storage WHERE no = storage_no)
ORDER BY storage_no, key, expires_at LIMIT :limit;

-- add_link --
INSERT INTO link (storage_no, key, expires_at, created_at)
VALUES (:storage_no, :key, :expires_at, :created_at);

-- add_link @postgres --
INSERT INTO link (storage_no, key, expires_at, created_at)
SELECT * FROM unnest(
    :storage_no[], :key[], :expires_at[], :created_at[]
);

-- chunk --
SELECT storage_no, first, count, raw_bytes, codec, crc, ends, body
FROM chunk WHERE (storage_no, first) > (:after_storage_no, :after_first)
    AND EXISTS (SELECT 1 FROM storage WHERE no = storage_no)
ORDER BY storage_no, first LIMIT :limit;

-- add_chunk --
INSERT INTO chunk (storage_no, first, count, raw_bytes, codec, crc, ends, body)
VALUES (:storage_no, :first, :count, :raw_bytes, :codec, :crc, :ends, :body);

-- add_chunk @postgres --
INSERT INTO chunk (storage_no, first, count, raw_bytes, codec, crc, ends, body)
SELECT * FROM unnest(
    :storage_no[], :first[], :count[], :raw_bytes[], :codec[], :crc[], :ends[], :body[]
);

-- record --
SELECT storage_no, key, content_type, content_encoding, size, sha256, modified_at, blob, body
FROM record WHERE (storage_no, key) > (:after_storage_no, :after_key)
    AND EXISTS (SELECT 1 FROM storage WHERE no = storage_no)
ORDER BY storage_no, key LIMIT :limit;

-- add_record --
INSERT INTO record (storage_no, key, content_type, content_encoding, size, sha256, modified_at,
    blob, body)
VALUES (:storage_no, :key, :content_type, :content_encoding, :size, :sha256, :modified_at,
    :blob, :body);

-- add_record @postgres --
INSERT INTO record (storage_no, key, content_type, content_encoding, size, sha256, modified_at,
    blob, body)
SELECT * FROM unnest(
    :storage_no[], :key[], :content_type[], :content_encoding[], :size[], :sha256[],
    :modified_at[], :blob[], :body[]
);

-- request --
SELECT storage_no, id, ord, locked_until, locked_by, lock_gen, crc, body
FROM request WHERE (storage_no, id) > (:after_storage_no, :after_id)
    AND EXISTS (SELECT 1 FROM storage WHERE no = storage_no)
ORDER BY storage_no, id LIMIT :limit;

-- add_request --
INSERT INTO request (storage_no, id, ord, locked_until, locked_by, lock_gen, crc, body)
VALUES (:storage_no, :id, :ord, :locked_until, :locked_by, :lock_gen, :crc, :body);

-- add_request @postgres --
INSERT INTO request (storage_no, id, ord, locked_until, locked_by, lock_gen, crc, body)
SELECT * FROM unnest(
    :storage_no[], :id[], :ord[], :locked_until[], :locked_by[], :lock_gen[], :crc[],
    :body[]
);

-- answered --
SELECT storage_no, key, at, answer
FROM answered WHERE (storage_no, key) > (:after_storage_no, :after_key)
    AND EXISTS (SELECT 1 FROM storage WHERE no = storage_no)
ORDER BY storage_no, key LIMIT :limit;

-- add_answered --
INSERT INTO answered (storage_no, key, at, answer)
VALUES (:storage_no, :key, :at, :answer);

-- add_answered @postgres --
INSERT INTO answered (storage_no, key, at, answer)
SELECT * FROM unnest(
    :storage_no[], :key[], :at[], :answer[]
);

-- state --
SELECT key, place FROM setting WHERE key IN ('move', 'moving');

-- set_state --
INSERT INTO setting (key, place) VALUES (:key, :place)
ON CONFLICT (key) DO UPDATE SET place = excluded.place;

-- strike_state --
DELETE FROM setting WHERE key = :key;

-- is_empty --
SELECT NOT EXISTS (SELECT 1 FROM "user") AND NOT EXISTS (SELECT 1 FROM storage);

-- is_served --
-- Until when whoever sweeps has the lead: a server does, all along.
SELECT until FROM lease WHERE name = 'sweep' AND until BETWEEN :now AND :latest;

-- sizes --
SELECT (SELECT count(*) FROM storage), (SELECT coalesce(sum(bytes), 0) FROM storage),
    (SELECT count(*) FROM record WHERE blob IS NOT NULL);

-- count_on --
-- Numbers of storages go on behind those that were moved; SQLite sees to it by itself.
SELECT 1;

-- count_on @postgres --
SELECT setval(pg_get_serial_sequence('storage', 'no'), max(no)) FROM storage HAVING max(no) > 0;
