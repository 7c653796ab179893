-- Locks at most $2 deliveries that were over $1 seconds ago, the oldest first. One whose job ended without it counts
-- from when it came into being.
select d.id
from webhook_deliveries d
where d.created_at < now() - make_interval(secs => $1)
  and (d.finished_at is null or d.finished_at < now() - make_interval(secs => $1))
  and not exists (
      select from jobs j where j.id = d.job_id and j.state not in ('completed', 'discarded', 'cancelled')
  )
order by d.created_at
limit $2
for update skip locked
