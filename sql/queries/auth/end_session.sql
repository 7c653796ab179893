-- Ends a session, with it its access and refresh tokens, on every node from this commit on. Idempotent.
update sessions set ended_at = now()
where id = $1 and ended_at is null
