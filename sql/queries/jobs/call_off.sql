-- Ends a running attempt that was to be called off. No row when it had ended before.
update jobs
set state = 'cancelled', finished_at = now(), worker = null
where id = $1 and state = 'running' and attempt = $2 and worker = $3 and cancel_requested_at is not null
returning id
