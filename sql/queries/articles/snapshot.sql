-- The snapshot in which this is asked: the transactions that it sees. As long as it is the same, so is all that is there.
select pg_current_snapshot()::text as snapshot
