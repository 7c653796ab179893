-- A user's open sessions, newest first: the newest $3 of them, and in any case the one that asks.
select id, created_at, refreshed_at, expires_at, user_agent, id = $2 as current
from sessions s
where user_id = $1 and ended_at is null and expires_at > now()
  and (id = $2 or id = any (array(
      select n.id from sessions n
      where n.user_id = $1 and n.ended_at is null and n.expires_at > now()
      order by n.created_at desc
      limit $3)))
order by created_at desc, id
