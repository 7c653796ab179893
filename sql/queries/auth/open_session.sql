-- Opens a session with its first refresh token, if the password's hash is still the one that was verified: who
-- changes it waits for this and then ends the session, or this waits for them and finds it changed. No row when it
-- was, or when the user is gone.
with owner as (
    select id from users where id = $1 and password_hash = $6 for share
), opened as (
    insert into sessions (id, user_id, expires_at, user_agent)
    select $2, id, now() + make_interval(secs => $4), $5 from owner
    returning id, user_id
), refreshable as (
    insert into refresh_tokens (hash, session_id)
    select $3, id from opened
)
select user_id from opened
