-- What only a PostgreSQL database is asked. The tables of all nouns are in schema/.

-- session --
SELECT set_config('statement_timeout', '30s', false), set_config('lock_timeout', '5s', false),
    set_config('idle_in_transaction_session_timeout', '30s', false),
    current_setting('server_version_num'), current_setting('server_encoding'),
    current_setting('fsync'), current_setting('synchronous_commit'), pg_is_in_recovery();

-- watch --
-- Without it the query of a client that was killed lives on. Not every system can.
SELECT set_config('client_connection_check_interval', '2s', false);

-- clock --
SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT);

-- schema --
-- needs: the oldest schema whose programs can go on with this one.
SELECT version, needs FROM schema_version;

-- begin_schema --
CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL, needs BIGINT NOT NULL);

-- patience --
SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '60s', true);

-- lock_schema --
LOCK TABLE schema_version IN EXCLUSIVE MODE;

-- first_schema --
INSERT INTO schema_version (version, needs) SELECT 0, 0
WHERE NOT EXISTS (SELECT 1 FROM schema_version);

-- set_schema --
UPDATE schema_version SET version = :version;

-- take --
-- Up to :count requests of a key at once, by the rule of model/limits.py `Window`; `given`
-- says how many. Who waits for the row sees the time after the wait.
INSERT INTO rate AS old (key, start, before, now, given)
VALUES (:key, CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT), 0, :count, :count)
ON CONFLICT (key) DO UPDATE SET (start, before, now, given) = (
    SELECT start, before, now + given, given FROM (
        SELECT start, before, now,
            greatest(0, least(:count, :rate - now - before * (start + 1000000 - at) / 1000000))
                AS given
        FROM (
            SELECT at,
                CASE WHEN gone < 0 OR gone >= 2000000 THEN at
                    WHEN gone >= 1000000 THEN old.start + 1000000 ELSE old.start END AS start,
                CASE WHEN gone < 0 OR gone >= 2000000 THEN 0
                    WHEN gone >= 1000000 THEN old.now ELSE old.before END AS before,
                CASE WHEN gone < 0 OR gone >= 1000000 THEN 0 ELSE old.now END AS now
            FROM (
                SELECT at, at - old.start AS gone FROM (
                    SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT) AS at
                ) AS clock
            ) AS age
        ) AS turned
    ) AS counted
)
RETURNING given, start, before, now,
    CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT);

-- forget_rates --
DELETE FROM rate WHERE start < :before;
