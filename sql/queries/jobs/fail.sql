-- Ends an attempt that failed: called off where that was asked for, else scheduled again after $5 seconds, or a
-- dead letter when that is null. Its error is kept. No row when the attempt was fenced off.
with failed as (
    update jobs
    set state = case when cancel_requested_at is not null then 'cancelled' when $5::float8 is null then 'discarded' else 'scheduled' end,
        run_at = case when $5::float8 is null then run_at else now() + make_interval(secs => $5) end,
        finished_at = case when $5::float8 is null or cancel_requested_at is not null then now() end,
        -- Whoever fails it puts it into the schedule as well.
        sent_at = now(), worker = null
    where id = $1 and state = 'running' and attempt = $2 and worker = $3
    returning id, attempt, state, run_at
), noted as (
    insert into job_errors (job_id, attempt, error)
    select id, attempt, $4 from failed
)
select state, (extract(epoch from run_at) * 1000)::bigint as due_ms from failed
