-- Ends an open session of a user, with it its access and refresh tokens, on every node from this commit on. No row
-- when they have no such session.
update sessions set ended_at = now()
where id = $1 and user_id = $2 and ended_at is null and expires_at > now()
returning id
