-- Has jobs put into Redis once more that were put there $1 seconds ago and still wait, at most $2 of them, the
-- oldest first: Redis may have lost them. One row for each.
update jobs
set sent_at = null
where id in (
    select id from jobs
    where state in ('scheduled', 'available') and sent_at < now() - make_interval(secs => $1) and attempt < max_attempts
    order by sent_at
    limit $2
    for update skip locked
)
returning id
