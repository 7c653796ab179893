-- Completes an attempt, in the same transaction as its effect. No row when the attempt was fenced off.
update jobs
set state = 'completed', finished_at = now(), worker = null
where id = $1 and state = 'running' and attempt = $2 and worker = $3
returning id
