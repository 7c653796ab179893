-- Opens a session with its first refresh token. No row when the user is gone.
with opened as (
    insert into sessions (id, user_id, expires_at)
    select $2, id, now() + make_interval(secs => $4) from users where id = $1
    returning id, user_id
), refreshable as (
    insert into refresh_tokens (hash, session_id)
    select $3, id from opened
)
select user_id from opened
