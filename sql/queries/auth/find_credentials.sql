-- The user with this address, in whatever spelling, and the hash to verify a password against. For an address that
-- nobody has, whoever comes next in the alphabet: verifying against that hash takes as long as verifying against
-- anybody's, also while passwords of several costs are stored. So known and unknown addresses are one look into one
-- index. No row when nobody comes next.
select lower(email) = lower($1) as known,
       id, email, name, bio, image, created_at, updated_at, password_hash
from users
where lower(email) >= lower($1)
order by lower(email)
limit 1
