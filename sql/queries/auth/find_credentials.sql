-- The user with this address, in whatever spelling, and the hash to verify a password against.
select id, email, name, bio, image, created_at, updated_at, password_hash
from users
where lower(email) = lower($1)
