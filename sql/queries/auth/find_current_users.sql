-- The users of those of these sessions that are open, and until when they are: the check and the read in one. Each row
-- tells the snapshot in which it was found.
select s.id as session_id, s.expires_at, u.id, u.email, u.name, u.bio, u.image, u.created_at, u.updated_at,
       (select pg_current_snapshot()::text) as snapshot, now() as now
from sessions s
-- Looked up one by one, as in favorites/set: joined, all sessions may be read in the order of their users.
cross join lateral (select * from users u where u.id = s.user_id limit 1) u
where s.id = any ($1) and s.ended_at is null and s.expires_at > now()
