-- The users of those of these sessions that are open, and until when they are: the check and the read in one. Each row
-- tells the snapshot in which it was found.
select s.id as session_id, s.expires_at, u.id, u.email, u.name, u.bio, u.image, u.created_at, u.updated_at,
       (select pg_current_snapshot()::text) as snapshot, now() as now
from sessions s
join users u on u.id = s.user_id
where s.id = any ($1) and s.ended_at is null and s.expires_at > now()
