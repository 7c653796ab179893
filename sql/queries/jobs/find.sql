-- One job, with what decides whether it may run: $2 is how long ago a process may have been seen to be alive, in
-- seconds.
select j.id, j.kind, j.version, j.state, j.priority, j.attempt, j.max_attempts, j.args, j.run_at, j.created_at, j.started_at,
       j.finished_at, j.traceparent, j.unique_key, j.worker, j.deaths, j.sent_at, j.cancel_requested_at,
       null::text as last_error,
       (select paused_at is not null from job_control) as paused,
       exists (select from job_workers where seen_at > now() - make_interval(secs => $2)) as workers,
       exists (select from job_workers w, unnest(w.kinds, w.versions) as known (kind, version)
               where w.seen_at > now() - make_interval(secs => $2) and known.kind = j.kind and j.version <= known.version) as known,
       (select count(*) from jobs r where r.kind = j.kind and r.state = 'running') as running_of_kind,
       case when j.state = 'available' then
           (select count(*) from jobs r where r.state = 'available' and (r.priority, r.id) < (j.priority, j.id)) else 0
       end as before_it,
       extract(epoch from j.run_at - now())::float8 as due_in
from jobs j
where j.id = $1
