-- Starts an attempt on each of these jobs that is due and known here ($3 kinds, $4 the newest version of each): of
-- many who try, exactly one succeeds. The attempt's number is the fence: whoever comes later with an older one
-- changes nothing.
with due as (
    select j.id from jobs j
    join unnest($3::text[], $4::int[]) as known (kind, version) on known.kind = j.kind and j.version <= known.version
    where j.id = any ($1)
      -- Not in words that an index could be chosen for: by its id alone a row is found at once, whatever is known of the table.
      -- The stream's clock may run a little ahead of ours.
      and (j.state is not distinct from 'available'
           or (j.state is not distinct from 'scheduled' and j.run_at <= now() + interval '1 second'))
      -- One that is out of attempts is none to claim, whatever brought it here: it would fail them all.
      and j.attempt < j.max_attempts
      and not exists (select from job_control where paused_at is not null)
    order by j.id
    -- Not past locked rows: the relay that has just sent a job still holds it for a moment.
    for update of j
)
update jobs j
set state = 'running', attempt = j.attempt + 1, worker = $2, started_at = now(), sent_at = null,
    -- It does not wait any more: another one of its key may.
    unique_key = null
-- An array, so that it is by their ids that they are found: joined, all jobs may be read.
where j.id = any (array(select id from due))
returning j.id, j.kind, j.version, j.priority, j.args, j.attempt, j.max_attempts, j.traceparent,
          extract(epoch from now() - j.run_at)::float8 as waited
