-- The snapshot in which this is asked, that is, the transactions that it sees: as long as it is the same, so is all that is
-- there. And what time it is, for what is over at some time without anybody writing that.
select pg_current_snapshot()::text as snapshot, now() as now
