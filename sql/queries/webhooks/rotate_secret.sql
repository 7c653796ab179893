-- Gives a webhook another secret; the one before signs as well for $3 seconds, unless $4 others do: exact only while
-- the webhook is locked by an earlier statement of the transaction. One row when it was done: until when.
with retired as (
    insert into webhook_retired_secrets (webhook_id, secret, until)
    select id, secret, now() + make_interval(secs => $3::float8)
    from webhooks
    where id = $1
      and (select count(*) from webhook_retired_secrets where webhook_id = $1 and until > now()) < $4::bigint
    returning webhook_id, until
)
update webhooks w set secret = $2
from retired r
where w.id = r.webhook_id
returning r.until
