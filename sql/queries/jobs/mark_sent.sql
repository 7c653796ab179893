-- Notes that jobs are in the stream, in the same transaction that locked them.
update jobs set sent_at = now()
where id = any ($1) and state = 'available' and sent_at is null
