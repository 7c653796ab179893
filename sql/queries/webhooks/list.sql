-- A user's webhooks in the order in which they were made, without their secrets.
select id, url, kinds, disabled_at is null as enabled, created_at
from webhooks
where user_id = $1
order by id
