-- The same as jobs/claim for one kind ($3, up to version $4) of which at most $5 may run at once, in all processes
-- together. Exact only behind jobs/lock_kind.
with room as (
    select greatest(0, $5::bigint - count(*)) as n from jobs where kind = $3 and state = 'running'
), due as (
    select j.id from jobs j
    -- In the words of jobs/claim.
    where j.id = any ($1) and j.kind is not distinct from $3 and j.version <= $4
      and (j.state is not distinct from 'available'
           or (j.state is not distinct from 'scheduled' and j.run_at <= now() + interval '1 second'))
      and j.attempt < j.max_attempts
      and not exists (select from job_control where paused_at is not null)
    order by j.priority, j.id
    limit (select n from room)
    for update of j
)
update jobs j
set state = 'running', attempt = j.attempt + 1, worker = $2, started_at = now(), sent_at = null,
    -- It does not wait any more: another one of its key may.
    unique_key = null
from due
where j.id = due.id
returning j.id, j.kind, j.version, j.priority, j.args, j.attempt, j.max_attempts, j.traceparent,
          extract(epoch from now() - j.run_at)::float8 as waited
