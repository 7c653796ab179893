-- Makes dead letters available again as jobs/retry does, at most $1 of them, oldest first. One row for each.
with dead as (
    select id from jobs
    where state = 'discarded' and attempt < 100
    order by id
    limit $1
    for update skip locked
), again as (
    update jobs j
    set state = 'available', max_attempts = least(j.attempt + 5, 100), finished_at = null, sent_at = null, run_at = now(),
        deaths = 0, cancel_requested_at = null
    from dead
    where j.id = dead.id
    returning j.id
), woken as (
    select pg_notify('callboard_jobs', '') from (select from again limit 1) any_of_them
)
select again.id from again left join woken on true
