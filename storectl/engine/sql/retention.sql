-- retention --
-- Seconds; null: without end. No row: as built in.
SELECT value FROM setting WHERE key = 'retention_secs';

-- keep --
INSERT INTO setting (key, value) VALUES ('retention_secs', :secs)
ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- keep_garbage --
-- How long the bytes of replaced and deleted records stay, see kvs.sql `discard`.
INSERT INTO setting (key, value) VALUES ('garbage_secs', :secs)
ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- expire --
-- The deleting statement asks again: what was named or touched by then stays.
DELETE FROM storage
WHERE no IN (
        SELECT no FROM storage WHERE name IS NULL AND accessed_at <= :over
        ORDER BY accessed_at LIMIT :limit
    )
    AND name IS NULL AND accessed_at <= :over
RETURNING no, noun;

-- expire @postgres --
-- By the index of creation, before which nothing was accessed.
DELETE FROM storage
WHERE no IN (
        SELECT no FROM storage
        WHERE name IS NULL AND created_at <= :over AND accessed_at <= :over
        ORDER BY created_at LIMIT :limit
    )
    AND name IS NULL AND accessed_at <= :over
RETURNING no, noun;

-- delete_unused --
DELETE FROM storage
WHERE no = :no AND accessed_at < :since AND (name IS NULL OR :named)
RETURNING no;

-- due --
SELECT EXISTS (
        SELECT 1 FROM storage
        WHERE name IS NULL AND created_at <= :over AND accessed_at <= :over
    )
    OR EXISTS (SELECT 1 FROM erased)
    OR EXISTS (SELECT 1 FROM garbage WHERE not_before <= :now)
    OR EXISTS (SELECT 1 FROM answered WHERE at < :before)
    OR EXISTS (SELECT 1 FROM link WHERE expires_at BETWEEN 1 AND :now);

-- spare --
-- Pages that are free, if more are than is good for what comes next: 16 MiB, and a fifth.
-- Not while a backup runs: the log would grow by all that moves.
SELECT freelist_count FROM pragma_freelist_count, pragma_page_count, pragma_auto_vacuum
WHERE auto_vacuum = 2 AND freelist_count > max(4096, page_count / 5) AND NOT EXISTS (
    SELECT 1 FROM lease
    WHERE name > 'backup-' AND name < 'backup.' AND until BETWEEN :now AND :now + 7200000
);

-- spare @postgres --
-- Its own vacuum does that.
SELECT 0 WHERE false;

-- give_back --
-- 1 MiB at the end of the file, after what is there has moved into what is free before it.
PRAGMA incremental_vacuum(256);

-- give_back @postgres --
SELECT 1;

-- give_back_little --
-- The list of what is free is searched for each page: where it is long, that is the work.
PRAGMA incremental_vacuum(16);

-- give_back_little @postgres --
SELECT 1;

-- forget_links --
DELETE FROM link WHERE expires_at BETWEEN 1 AND :now;

-- led --
SELECT holder FROM lease WHERE name = :name AND until > :now AND until <= :latest;

-- lead --
-- One holder at a time, until it has not asked for a while. Of a clock that was set
-- back a lease would last too long: one beyond :latest is none.
INSERT INTO lease (name, holder, until) VALUES (:name, :holder, :until)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE lease.holder = excluded.holder OR lease.until <= :now OR lease.until > :latest
RETURNING holder;

-- hand_over --
DELETE FROM lease WHERE name = :name AND holder = :holder;
