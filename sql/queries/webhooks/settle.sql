-- Brings a delivery to its end, in the transaction that completes its job, and disables its webhook where $3 says that
-- its receiver is gone for good.
with settled as (
    update webhook_deliveries set state = $2, finished_at = now()
    where id = $1 and state <> 'delivered'
    returning webhook_id
)
update webhooks w set disabled_at = now()
from settled s
where w.id = s.webhook_id and $3 and w.disabled_at is null
