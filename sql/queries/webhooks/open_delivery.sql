-- All that an attempt at a delivery needs: the webhook's secret comes first, then those that it replaced and that sign
-- as well for a while. No row when its webhook was deleted meanwhile.
select d.message_id, d.facts, d.body, d.state, w.url, w.disabled_at is null as enabled,
       array_prepend(w.secret, array(
           select secret from webhook_retired_secrets where webhook_id = w.id and until > now() order by until desc
       )) as secrets
from webhook_deliveries d
join webhooks w on w.id = d.webhook_id
where d.id = $1
