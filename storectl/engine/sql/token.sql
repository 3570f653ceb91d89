-- user_by_id --
SELECT id, username, default_access, email, created_at FROM "user" WHERE id = :id;

-- user_by_name --
SELECT id, username, default_access, email, created_at FROM "user" WHERE username = :username;

-- user_by_name @postgres --
SELECT id, username, default_access, email, created_at FROM "user"
WHERE lower(username) = lower(:username COLLATE "C");

-- user_by_email --
SELECT id, username, default_access, email, created_at FROM "user" WHERE email = :email;

-- user_by_email @postgres --
SELECT id, username, default_access, email, created_at FROM "user"
WHERE email IS NOT NULL AND lower(email) = lower(:email COLLATE "C");

-- create_user --
INSERT INTO "user" (id, username, email, created_at)
VALUES (:id, :username, :email, :now)
ON CONFLICT (username) DO NOTHING;

-- create_user @postgres --
INSERT INTO "user" (id, username, email, created_at)
VALUES (:id, :username, :email, :now)
ON CONFLICT (lower(username)) DO NOTHING;

-- set_email --
UPDATE "user" SET email = :email WHERE id = :id;

-- set_default_access --
-- Changes rights.
UPDATE "user" SET default_access = :default_access WHERE id = :id
RETURNING id, username, default_access, email, created_at;

-- caller --
SELECT "user".id, username, default_access, email, "user".created_at,
    token.id, scope, hash, previous_hash, last_used_at, expires_at, previous_until
FROM token JOIN "user" ON "user".id = token.user_id
WHERE (hash = :hash OR previous_hash = :hash) AND revoked_at IS NULL;

-- used --
UPDATE token SET last_used_at = :now WHERE id = :id;

-- used @sqlite --
-- Changes rights. With them it is remembered when a token was used; here nobody waits for that.
UPDATE token SET last_used_at = :now WHERE id = :id;

-- create --
INSERT INTO token (id, user_id, name, hash, last4, scope, created_at, expires_at)
VALUES (:id, :user_id, :name, :hash, :last4, :scope, :now, :expires_at);

-- list --
SELECT token.id, name, username, token.created_at, last4, last_used_at, expires_at, scope,
    previous_until
FROM token JOIN "user" ON "user".id = token.user_id
WHERE revoked_at IS NULL AND (:user_id IS NULL OR user_id = :user_id)
ORDER BY token.created_at, token.id;

-- rotate --
-- Changes rights.
UPDATE token
SET previous_hash = CASE WHEN :until > :now THEN hash END,
    previous_until = CASE WHEN :until > :now THEN :until END,
    hash = :hash, last4 = :last4
WHERE id = :id AND revoked_at IS NULL
RETURNING id;

-- revoke --
-- Changes rights.
UPDATE token SET revoked_at = :now, previous_hash = NULL, previous_until = NULL
WHERE id = :id AND revoked_at IS NULL
RETURNING id;
