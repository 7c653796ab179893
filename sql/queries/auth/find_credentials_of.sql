-- A user, and the hash to verify their password against.
select id, email, name, bio, image, created_at, updated_at, password_hash
from users
where id = $1
