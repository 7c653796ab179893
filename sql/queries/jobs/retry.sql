-- Makes a dead letter available again, with five more attempts; their numbers go on, since they are what
-- fences off an old attempt. No row when it is not a dead letter.
with again as (
    update jobs
    set state = 'available', max_attempts = least(attempt + 5, 100), finished_at = null, sent_at = null, run_at = now(),
        deaths = 0, cancel_requested_at = null
    where id = $1 and state = 'discarded' and attempt < 100
    returning id
), woken as (
    select pg_notify('callboard_jobs', '') from again
)
select again.id from again, woken
