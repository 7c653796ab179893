-- Locks a delivery of a user's webhook, so that a statement after this one in the transaction sees its last job.
-- No row when there is none.
select d.id
from webhook_deliveries d
join webhooks w on w.id = d.webhook_id
where d.id = $3 and w.id = $1 and w.user_id = $2
for no key update of d
