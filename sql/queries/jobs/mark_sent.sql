-- Notes that jobs are in Redis, in the same transaction that locked them.
update jobs set sent_at = now()
where id = any ($1) and state in ('scheduled', 'available') and sent_at is null
