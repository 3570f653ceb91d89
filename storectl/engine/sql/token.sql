-- user_by_id --
SELECT id, username, default_access, email, created_at FROM user WHERE id = :id;

-- user_by_name --
SELECT id, username, default_access, email, created_at FROM user WHERE username = :username;

-- first_user --
SELECT id, username, default_access, email, created_at FROM user ORDER BY created_at, id LIMIT 1;

-- create_user --
INSERT INTO user (id, username, created_at)
VALUES (:id, :username, :now)
ON CONFLICT (username) DO NOTHING;

-- caller --
SELECT user.id, username, default_access, email, user.created_at,
    token.id, last_used_at, expires_at
FROM token JOIN user ON user.id = token.user_id
WHERE hash = :hash AND revoked_at IS NULL;

-- used --
UPDATE token SET last_used_at = :now WHERE id = :id;

-- create --
INSERT INTO token (id, user_id, name, hash, last4, created_at)
VALUES (:id, :user_id, :name, :hash, :last4, :now);

-- list --
SELECT token.id, name, username, token.created_at, last4, last_used_at, expires_at
FROM token JOIN user ON user.id = token.user_id
WHERE revoked_at IS NULL AND (:user_id IS NULL OR user_id = :user_id)
ORDER BY token.created_at, token.id;

-- revoke --
UPDATE token SET revoked_at = :now WHERE id = :id AND revoked_at IS NULL;
