-- Which of these sessions are open, and whose they are. Judged by the database's clock.
select id, user_id
from sessions
where id = any ($1) and ended_at is null and expires_at > now()
