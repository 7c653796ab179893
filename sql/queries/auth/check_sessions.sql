-- Which of these sessions are open, until when, and whose they are. Judged by the database's clock. Each row tells the
-- snapshot in which it was found.
select id as session_id, expires_at, user_id, (select pg_current_snapshot()::text) as snapshot, now() as now
from sessions
where id = any ($1) and ended_at is null and expires_at > now()
