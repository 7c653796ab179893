-- Has those of these jobs moved to the stream once more that wait: they were taken from it and not begun.
update jobs set sent_at = null
where id = any ($1) and state = 'available'
