"""Pure: the tables of a control store in PostgreSQL, and the one function by which all of them change.

The function first locks the only row of `state`. So writes happen one after the other, and each sees all that came
before it: under READ COMMITTED, a statement that begins after the lock was granted sees what the holder committed. A
call of it is one statement and a transaction of its own, so a node that is stopped in the middle holds no lock.
"""

from __future__ import annotations

from typing import Final

from actorrt.cluster.control.tables import KEPT_DELETIONS_COUNT, KEPT_NONCES_COUNT
from actorrt.protocol.cluster.control import MEMBERS, MISSING

FORMAT: Final = 1
"""The version of the tables, in `state.format`."""

SETUP_LOCK: Final = 0x6163746F
"""The number of the advisory lock under which the tables are made, since two nodes may start at once."""

EXISTS: Final = "SELECT to_regclass('actorrt.state') IS NOT NULL"
STATE: Final = "SELECT format, cluster FROM actorrt.state"
CLAIM: Final = "UPDATE actorrt.state SET cluster = $1 WHERE cluster IS NULL"
CARRY_OUT: Final = "SELECT * FROM actorrt.carry_out($1, $2, $3, $4, $5, $6, $7)"
READ: Final = "SELECT value, version FROM actorrt.rows WHERE name = $1 AND key = $2 AND value IS NOT NULL"

SINCE: Final = """
SELECT s.version, s.view, s.is_whole, extract(epoch FROM clock_timestamp())::float8 AS now_s,
       r.name, r.key, r.value, r.version AS row_version
FROM (SELECT version, view, $1 < forgotten_until OR $1 > version AS is_whole FROM actorrt.state) AS s
LEFT JOIN actorrt.rows r
    ON r.name = ANY ($2)
    AND r.version > CASE WHEN s.is_whole THEN 0 ELSE $1 END
    AND (r.value IS NOT NULL OR NOT s.is_whole)
ORDER BY r.version
"""

MAKE: Final = f"""
CREATE SCHEMA actorrt;

CREATE TABLE actorrt.state (
    format int NOT NULL, cluster text, version bigint NOT NULL, view bigint NOT NULL, forgotten_until bigint NOT NULL
);
INSERT INTO actorrt.state VALUES ({FORMAT}, NULL, 0, 0, 0);

CREATE TABLE actorrt.rows (
    name text NOT NULL, key bytea NOT NULL, value bytea, version bigint NOT NULL, PRIMARY KEY (name, key)
);
CREATE INDEX rows_by_version ON actorrt.rows (name, version);
CREATE INDEX deletions ON actorrt.rows (version) WHERE value IS NULL;

CREATE TABLE actorrt.nonces (nonce bytea PRIMARY KEY, version bigint NOT NULL UNIQUE);

-- Carries out writes one after the other. Each change has the number of its write. What is expected, and the view, may
-- be NULL for anything. Returns a row for each write; of a refused write, with the rows that it would have changed.
CREATE FUNCTION actorrt.carry_out(
    the_nonces bytea[], the_views bigint[],
    of_write int[], names text[], keys bytea[], contents bytea[], expected bigint[]
) RETURNS TABLE (
    is_committed boolean, version bigint, view bigint,
    found_names text[], found_keys bytea[], found_contents bytea[], found_versions bigint[]
) LANGUAGE plpgsql AS $function$
#variable_conflict use_column
DECLARE
    now actorrt.state;
    forgotten bigint;
BEGIN
    -- What is acknowledged is on disk, and on the synchronous standbys where there are some.
    IF current_setting('synchronous_commit') IN ('off', 'local', 'remote_write') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    SELECT * INTO STRICT now FROM actorrt.state FOR UPDATE;
    FOR i IN 1 .. cardinality(the_nonces) LOOP
        found_names := NULL;
        SELECT true, n.version INTO is_committed, version FROM actorrt.nonces n WHERE n.nonce = the_nonces[i];
        IF is_committed IS NULL THEN
            is_committed := coalesce(the_views[i] = now.view, true) AND NOT EXISTS (
                SELECT FROM unnest(of_write, names, keys, expected) AS c(w, name, key, expected)
                LEFT JOIN actorrt.rows r ON r.name = c.name AND r.key = c.key AND r.value IS NOT NULL
                WHERE c.w = i AND c.expected <> coalesce(r.version, {MISSING})
            );
            IF is_committed THEN
                now.version := now.version + 1;
                INSERT INTO actorrt.rows
                    SELECT c.name, c.key, c.value, now.version
                    FROM unnest(of_write, names, keys, contents) AS c(w, name, key, value) WHERE c.w = i
                    ON CONFLICT (name, key) DO UPDATE SET value = EXCLUDED.value, version = EXCLUDED.version;
                IF EXISTS (
                    SELECT FROM unnest(of_write, names) AS c(w, name) WHERE c.w = i AND c.name = '{MEMBERS}'
                ) THEN
                    now.view := now.version;
                END IF;
                INSERT INTO actorrt.nonces VALUES (the_nonces[i], now.version);
            ELSE
                SELECT array_agg(r.name), array_agg(r.key), array_agg(r.value), array_agg(r.version)
                INTO found_names, found_keys, found_contents, found_versions
                FROM unnest(of_write, names, keys) AS c(w, name, key)
                JOIN actorrt.rows r ON r.name = c.name AND r.key = c.key AND r.value IS NOT NULL
                WHERE c.w = i;
            END IF;
            version := now.version;
        END IF;
        view := now.view;
        RETURN NEXT;
    END LOOP;
    DELETE FROM actorrt.nonces n WHERE n.version <= now.version - {KEPT_NONCES_COUNT};
    WITH old AS (
        DELETE FROM actorrt.rows r WHERE r.value IS NULL AND r.version <= now.version - {KEPT_DELETIONS_COUNT}
        RETURNING r.version
    ) SELECT max(old.version) INTO forgotten FROM old;
    UPDATE actorrt.state s SET
        version = now.version, view = now.view, forgotten_until = greatest(s.forgotten_until, forgotten);
END
$function$;
"""
