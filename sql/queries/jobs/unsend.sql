-- Has those of these jobs moved to Redis once more that wait: they were taken from it and not begun, or could not
-- be put into it.
update jobs set sent_at = null
where id = any ($1) and state in ('scheduled', 'available')
