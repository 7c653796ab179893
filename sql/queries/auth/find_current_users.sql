-- The users of those of these sessions that are open: the check and the read in one.
select s.id as session_id, u.id, u.email, u.name, u.bio, u.image, u.created_at, u.updated_at
from sessions s
join users u on u.id = s.user_id
where s.id = any ($1) and s.ended_at is null and s.expires_at > now()
