-- Jobs newest first, of one state and kind where those are given, with the last error of each.
-- $1 state, $2 kind, $3 before this id, $4 limit
select j.id, j.kind, j.version, j.state, j.priority, j.attempt, j.max_attempts, j.args, j.run_at, j.created_at, j.started_at,
       j.finished_at, j.traceparent,
       (select e.error from job_errors e where e.job_id = j.id order by e.attempt desc limit 1) as last_error
from jobs j
where ($1::text is null or j.state = $1) and ($2::text is null or j.kind = $2) and ($3::bigint is null or j.id < $3)
order by j.id desc
limit $4
