-- A new user with an open session and its refresh token, all or nothing. No row when the address is
-- taken, in whatever spelling: also exact when many register it at once.
with created as (
    insert into users (email, name, password_hash)
    values ($1, $2, $3)
    on conflict (lower(email)) do nothing
    returning id, email, name, bio, image, created_at, updated_at
), opened as (
    insert into sessions (id, user_id, expires_at, user_agent)
    select $4, id, now() + make_interval(secs => $6), $7 from created
    returning id
), refreshable as (
    insert into refresh_tokens (hash, session_id)
    select $5, id from opened
)
select id, email, name, bio, image, created_at, updated_at from created
