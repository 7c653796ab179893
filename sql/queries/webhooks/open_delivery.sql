-- All that an attempt at a delivery needs. No row when its webhook was deleted meanwhile.
select d.message_id, d.facts, d.body, d.state, w.url, w.secret, w.disabled_at is null as enabled
from webhook_deliveries d
join webhooks w on w.id = d.webhook_id
where d.id = $1
