-- One page of the deliveries of a user's webhook, newest first, each with its last twenty attempts. One row without
-- a delivery when the page is empty; none when the webhook is not theirs. One whose job ended without it has failed.
-- $1 webhook, $2 user, $3 before this id, $4 limit
select d.id, d.webhook_id, d.notification_id, d.kind, d.message_id, d.created_at, d.finished_at,
       case when d.state = 'pending' and not exists (
           select from jobs j where j.id = d.job_id and j.state not in ('completed', 'discarded', 'cancelled')
       ) then 'failed' else d.state end as state,
       (select coalesce(jsonb_agg(l order by l.attempt), '[]') from (
           select row_number() over (order by id) as attempt, at, status, error, duration_ms
           from webhook_attempts
           where delivery_id = d.id
           order by id desc
           limit 20
       ) l) as attempts
from webhooks w
left join lateral (
    select * from webhook_deliveries
    where webhook_id = w.id and id < coalesce($3, 9223372036854775807)
    order by id desc
    limit $4
) d on true
where w.id = $1 and w.user_id = $2
order by d.id desc
