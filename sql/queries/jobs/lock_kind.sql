-- Lets one process at a time claim jobs of a kind that only so many may run of. A statement of its own, so that
-- the next one sees what was claimed before.
select pg_advisory_xact_lock(hashtextextended('callboard.jobs.' || $1, 0))
