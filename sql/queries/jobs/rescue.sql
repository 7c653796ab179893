-- Takes jobs away from processes that have not been seen for $1 seconds, from attempts that began $2 seconds
-- ago, longer than one may take, and from process $3 those that it claimed and does not hold ($4 and $5 are the
-- jobs and attempts that it does): its consumer ended in between. They are available again, and get one more attempt
-- for the one that was taken, which did not fail; but none for one that took too long. Dead letters where that was
-- their last attempt, or where $6 processes have died with them; called off where that was asked for. Forgets the
-- dead. A row for each job that was taken, or one without any: how many processes were dead, the job, when its attempt
-- began, whether its process died.
with dead as (
    delete from job_workers
    where seen_at < now() - make_interval(secs => $1)
    returning id
), lost as (
    select j.id, j.attempt, j.started_at, j.cancel_requested_at,
           j.worker in (select id from dead) or not exists (select from job_workers w where w.id = j.worker) as died,
           least(100, j.max_attempts
                      + case when j.started_at < now() - make_interval(secs => $2) then 0 else 1 end) as max_attempts,
           -- What this process lost, or what took too long, killed nobody.
           j.deaths + case when j.worker in (select id from dead) or not exists (select from job_workers w where w.id = j.worker)
                           then 1 else 0 end as deaths
    from jobs j
    where j.state = 'running'
      and (j.worker in (select id from dead) or not exists (select from job_workers w where w.id = j.worker)
           or j.started_at < now() - make_interval(secs => $2)
           -- A claim that has just committed may not have reached its process yet.
           or (j.worker = $3 and j.started_at < now() - interval '2 seconds'
               and not exists (select from unnest($4::bigint[], $5::int[]) as h (id, attempt)
                               where h.id = j.id and h.attempt = j.attempt)))
    for update skip locked
), noted as (
    insert into job_errors (job_id, attempt, error)
    select id, attempt, case when deaths >= $6 then 'killed its worker ' || deaths || ' times' else 'the worker died or lost the attempt' end
    from lost
), taken as (
    update jobs j
    set state = case when l.cancel_requested_at is not null then 'cancelled'
                     when l.attempt >= l.max_attempts or l.deaths >= $6 then 'discarded' else 'available' end,
        finished_at = case when l.cancel_requested_at is not null or l.attempt >= l.max_attempts or l.deaths >= $6 then now() end,
        max_attempts = l.max_attempts, deaths = l.deaths, worker = null, sent_at = null, run_at = now()
    from lost l
    where j.id = l.id
    returning j.id, j.kind, j.attempt, j.state, j.traceparent, l.started_at, l.died
)
select (select count(*) from dead) as dead, t.* from (values (1)) as always (one) left join taken t on true
