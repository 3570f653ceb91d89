-- grants --
SELECT user_id, username, level, granted.created_at
FROM granted JOIN "user" ON "user".id = granted.user_id
WHERE storage_no = :no ORDER BY granted.created_at, username;

-- grant --
-- Changes rights.
INSERT INTO granted (storage_no, user_id, level, created_at)
SELECT no, :user_id, :level, :now FROM storage WHERE no = :no
ON CONFLICT (storage_no, user_id)
DO UPDATE SET level = excluded.level, created_at = excluded.created_at
RETURNING storage_no;

-- grant @postgres --
-- Changes rights.
INSERT INTO granted (storage_no, user_id, level, created_at)
SELECT no, :user_id, :level, :now FROM storage WHERE no = :no FOR KEY SHARE
ON CONFLICT (storage_no, user_id)
DO UPDATE SET level = excluded.level, created_at = excluded.created_at
RETURNING storage_no;

-- revoke --
-- Changes rights.
DELETE FROM granted WHERE storage_no = :no AND user_id = :user_id
RETURNING level, created_at;

-- links --
SELECT key, created_at, expires_at FROM link
WHERE storage_no = :no AND (expires_at = 0 OR expires_at > :now)
ORDER BY created_at, key, expires_at;

-- link --
INSERT INTO link (storage_no, key, expires_at, created_at) VALUES (:no, :key, :expires_at, :now)
ON CONFLICT (storage_no, key, expires_at) DO UPDATE SET created_at = excluded.created_at;

-- secret --
SELECT secret FROM storage WHERE no = :no;

-- secret @postgres --
-- It stays until the link that it signs is written down.
SELECT secret FROM storage WHERE no = :no FOR SHARE;

-- rotate --
-- Changes rights.
UPDATE storage SET secret = :secret WHERE no = :no RETURNING no;

-- forget_links --
DELETE FROM link WHERE storage_no = :no;

-- forget_expired_links --
DELETE FROM link WHERE storage_no = :no AND expires_at BETWEEN 1 AND :now;

-- forget_grants --
DELETE FROM granted WHERE storage_no = :no;

-- report --
-- Every storage of a user that others may see, or may if the server says so.
SELECT storage.noun, storage.id
FROM storage JOIN "user" ON "user".id = storage.user_id
WHERE user_id = :user_id
    AND (CASE general_access WHEN 'FOLLOW_USER_SETTING'
            THEN coalesce(default_access, general_access) ELSE general_access END <> 'RESTRICTED'
        OR EXISTS (SELECT 1 FROM granted WHERE storage_no = storage.no)
        OR EXISTS (SELECT 1 FROM link WHERE storage_no = storage.no
            AND (expires_at = 0 OR expires_at > :now)))
ORDER BY storage.created_at, storage.no;
