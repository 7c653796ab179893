-- Forgets sessions that ended or expired $1 seconds ago, with their refresh tokens, at most $2 of them. A session
-- that could still live keeps its spent tokens, so that one that comes back is known. One row: how many.
with old as (
    select id from sessions
    where least(ended_at, expires_at) < now() - make_interval(secs => $1)
    limit $2
    for update skip locked
), gone as (
    delete from sessions s using old where s.id = old.id returning s.id
)
select count(*) as n from gone
