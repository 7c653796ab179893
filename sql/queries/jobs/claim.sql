-- Starts an attempt on each of these jobs that is due: of many who try, exactly one succeeds. The attempt's
-- number is the fence: whoever comes later with an older one changes nothing.
with due as (
    select id from jobs
    where id = any ($1)
      -- The stream's clock may run a little ahead of ours.
      and (state = 'available' or (state = 'scheduled' and run_at <= now() + interval '1 second'))
      and kind = any ($3)
      -- One that is out of attempts is none to claim, whatever brought it here: it would fail them all.
      and attempt < max_attempts
    order by id
    -- Not past locked rows: the relay that has just sent a job still holds it for a moment.
    for update
)
update jobs j
set state = 'running', attempt = j.attempt + 1, worker = $2, started_at = now(), sent_at = null
from due
where j.id = due.id
returning j.id, j.kind, j.version, j.args, j.attempt, j.max_attempts, j.traceparent,
          extract(epoch from now() - j.run_at)::float8 as waited
