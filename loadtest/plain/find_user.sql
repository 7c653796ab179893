-- The user whose session this is, if it is open.
select u.id, u.email, u.name, u.bio, u.image, u.created_at, u.updated_at
from sessions s
join users u on u.id = s.user_id
where s.id = $1 and s.ended_at is null and s.expires_at > now()
