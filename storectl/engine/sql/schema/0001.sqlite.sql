-- Times are milliseconds since 1970, UTC. Every table but `user` and `token`
-- starts with the storage it belongs to.

CREATE TABLE user (
    id             TEXT PRIMARY KEY,
    username       TEXT NOT NULL UNIQUE COLLATE NOCASE,
    email          TEXT COLLATE NOCASE,
    default_access TEXT,  -- null: as the server says
    created_at     INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX user_email ON user (email) WHERE email IS NOT NULL;

-- scope: a JSON array of what the token may do; null: all that its user may.
-- previous_hash: of the secret before the last rotation, which works until previous_until.
CREATE TABLE token (
    id             TEXT PRIMARY KEY,
    user_id        TEXT NOT NULL REFERENCES user (id),
    name           TEXT NOT NULL,
    hash           BLOB NOT NULL UNIQUE,
    last4          TEXT NOT NULL,
    scope          TEXT,
    created_at     INTEGER NOT NULL,
    last_used_at   INTEGER,
    expires_at     INTEGER,
    revoked_at     INTEGER,
    previous_hash  BLOB,
    previous_until INTEGER
) STRICT;

CREATE UNIQUE INDEX token_name ON token (user_id, name) WHERE revoked_at IS NULL;
CREATE INDEX token_previous ON token (previous_hash) WHERE previous_hash IS NOT NULL;

-- One row for each dataset, key-value store and request queue. secret: the key of its
-- signed links. token_id: the token that created it, if that has a scope.
CREATE TABLE storage (
    no             INTEGER PRIMARY KEY AUTOINCREMENT,
    id             TEXT NOT NULL UNIQUE,
    noun           TEXT NOT NULL,
    user_id        TEXT NOT NULL REFERENCES user (id),
    name           TEXT COLLATE NOCASE,
    title          TEXT,
    general_access TEXT NOT NULL DEFAULT 'FOLLOW_USER_SETTING',
    secret         TEXT NOT NULL,
    token_id       TEXT,
    schema         TEXT,
    created_at     INTEGER NOT NULL,
    modified_at    INTEGER NOT NULL,
    accessed_at    INTEGER NOT NULL,

    read_count      INTEGER NOT NULL DEFAULT 0,
    write_count     INTEGER NOT NULL DEFAULT 0,
    delete_count    INTEGER NOT NULL DEFAULT 0,
    list_count      INTEGER NOT NULL DEFAULT 0,
    head_read_count INTEGER NOT NULL DEFAULT 0,
    bytes           INTEGER NOT NULL DEFAULT 0,

    -- datasets
    item_count  INTEGER NOT NULL DEFAULT 0,
    clean_count INTEGER NOT NULL DEFAULT 0,
    tail_first  INTEGER NOT NULL DEFAULT 0,
    tail_rows   INTEGER NOT NULL DEFAULT 0,
    tail_bytes  INTEGER NOT NULL DEFAULT 0,

    -- request queues. first_ord, last_ord: the outermost places given away so far.
    -- client_key: the first that was used.
    request_count INTEGER NOT NULL DEFAULT 0,
    handled_count INTEGER NOT NULL DEFAULT 0,
    first_ord     INTEGER NOT NULL DEFAULT 0,
    last_ord      INTEGER NOT NULL DEFAULT 0,
    client_key    TEXT,
    many_clients  INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE UNIQUE INDEX storage_name ON storage (user_id, noun, name) WHERE name IS NOT NULL;
CREATE INDEX storage_list ON storage (user_id, noun, created_at, no);
CREATE INDEX storage_unnamed ON storage (accessed_at) WHERE name IS NULL;

-- Rights on a storage of users who do not own it: read, write or manage.
CREATE TABLE granted (
    storage_no INTEGER NOT NULL,
    user_id    TEXT NOT NULL REFERENCES user (id),
    level      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (storage_no, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX granted_user ON granted (user_id);

-- Signed links that were made: to a record, or with an empty key to the contents.
-- expires_at: 0 is never.
CREATE TABLE link (
    storage_no INTEGER NOT NULL,
    key        TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (storage_no, key, expires_at)
) STRICT, WITHOUT ROWID;

CREATE INDEX link_expires ON link (expires_at) WHERE expires_at > 0;

-- Items [first, first + count) of a dataset as JSON lines. Larger pushes are cut
-- into chunks; small ones gather in a tail that is folded into one chunk.
CREATE TABLE chunk (
    no         INTEGER PRIMARY KEY,
    storage_no INTEGER NOT NULL,
    first      INTEGER NOT NULL,
    count      INTEGER NOT NULL,
    raw_bytes  INTEGER NOT NULL,
    codec      INTEGER NOT NULL,  -- 0: as they are, crc in `crc`; 1: zstd with its own checksum
    crc        INTEGER,
    ends       BLOB,              -- little-endian uint32 for each item; null for a single one
    body       BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX chunk_first ON chunk (storage_no, first);

-- A value in the row, or the key of a blob.
CREATE TABLE record (
    no               INTEGER PRIMARY KEY,
    storage_no       INTEGER NOT NULL,
    key              TEXT NOT NULL,
    content_type     TEXT NOT NULL,
    content_encoding TEXT,
    size             INTEGER NOT NULL,
    sha256           BLOB NOT NULL,
    modified_at      INTEGER NOT NULL,
    blob             TEXT,
    body             BLOB
) STRICT;

CREATE UNIQUE INDEX record_key ON record (storage_no, key);

-- Keys are listed from here alone, 6 times as fast as with a look at each row, or 10 times
-- when the rows have to come from the disk.
CREATE INDEX record_list ON record (storage_no, key, size, content_type);

-- Blobs that may lie in the folder without a row that names them: uploads that
-- have not ended, and bytes of deleted or replaced records.
CREATE TABLE garbage (
    blob       TEXT PRIMARY KEY,
    not_before INTEGER NOT NULL
) STRICT;

CREATE INDEX garbage_due ON garbage (not_before);

-- ord: place in the queue, null once handled. locked_until: null unless locked;
-- a lock is over when that time has come, whether or not the row says so yet.
-- lock_gen: how often it was locked.
CREATE TABLE request (
    no           INTEGER PRIMARY KEY,
    storage_no   INTEGER NOT NULL,
    id           TEXT NOT NULL,
    ord          INTEGER,
    locked_until INTEGER,
    locked_by    TEXT,
    lock_gen     INTEGER NOT NULL DEFAULT 0,
    body         BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX request_id ON request (storage_no, id);
CREATE INDEX request_head ON request (storage_no, ord)
    WHERE ord IS NOT NULL AND locked_until IS NULL;
CREATE INDEX request_locked ON request (storage_no, locked_until)
    WHERE locked_until IS NOT NULL;

-- Storages whose row is gone and whose contents are being deleted, slice by slice.
CREATE TABLE erased (
    storage_no INTEGER PRIMARY KEY,
    noun       TEXT NOT NULL
) STRICT;

-- Answers to writes that carried an Idempotency-Key, for 24 hours.
CREATE TABLE answered (
    storage_no INTEGER NOT NULL,
    key        TEXT NOT NULL,
    at         INTEGER NOT NULL,
    answer     BLOB NOT NULL,
    PRIMARY KEY (storage_no, key)
) STRICT;

CREATE INDEX answered_at ON answered (at);

-- What the store goes by, whoever opens it.
CREATE TABLE setting (
    key   TEXT PRIMARY KEY,
    value INTEGER
) STRICT;

-- Work that one process at a time does for all.
CREATE TABLE lease (
    name   TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until  INTEGER NOT NULL
) STRICT;
