-- Calls a job off: one that waits at once, one that runs as soon as its worker hears of it. One row when there is such
-- an unfinished job: its state now.
update jobs
set state = case when state = 'running' then state else 'cancelled' end,
    finished_at = case when state = 'running' then null else now() end,
    cancel_requested_at = case when state = 'running' then coalesce(cancel_requested_at, now()) end
where id = $1 and state in ('scheduled', 'available', 'running')
returning state
