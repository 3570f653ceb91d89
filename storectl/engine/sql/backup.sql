-- hold --
INSERT INTO lease (name, holder, until) VALUES ('backup-' || :holder, :holder, :until)
ON CONFLICT (name) DO UPDATE SET until = excluded.until;

-- let_go --
DELETE FROM lease WHERE name = 'backup-' || :holder;

-- blobs --
SELECT no, blob FROM record WHERE blob IS NOT NULL AND no > :after ORDER BY no LIMIT :limit;

-- sizes --
SELECT (SELECT count(*) FROM storage),
    (SELECT count(*) FROM record WHERE blob IS NOT NULL),
    (SELECT coalesce(sum(size), 0) FROM record WHERE blob IS NOT NULL);

-- forget_place --
-- A copy has its blobs beside it, and no part in a move.
DELETE FROM setting WHERE key IN ('blobs', 'blobs_mark', 'move', 'moving');
