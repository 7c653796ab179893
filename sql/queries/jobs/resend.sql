-- Has jobs moved to the stream once more that were moved $1 seconds ago and have not begun, and those that
-- were to be tried again and whose time passed $1 seconds ago: Redis may have lost them.
update jobs
set state = 'available', sent_at = null
where id in (
    select id from jobs
    where (state = 'available' and sent_at < now() - make_interval(secs => $1))
       or (state = 'scheduled' and run_at < now() - make_interval(secs => $1))
    limit $2
    for update skip locked
)
returning id
