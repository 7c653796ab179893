-- Leaves another job for a delivery, unless its last one is unfinished or its webhook is disabled: exact only while
-- the delivery is locked by an earlier statement of the transaction. One row: what kept it from that, if anything.
-- $1 delivery, $2 the trace that it belongs to now
with target as (
    select d.id, w.disabled_at is not null as disabled,
           exists (
               select from jobs j where j.id = d.job_id and j.state not in ('completed', 'discarded', 'cancelled')
           ) as under_way
    from webhook_deliveries d
    join webhooks w on w.id = d.webhook_id
    where d.id = $1
), queued as (
    insert into jobs (kind, args, max_attempts, traceparent)
    select 'webhook_delivery', jsonb_build_object('delivery_id', id), 8, $2::text
    from target
    where not disabled and not under_way
    returning id
), again as (
    update webhook_deliveries d set state = 'pending', finished_at = null, job_id = q.id
    from queued q
    where d.id = $1
)
select disabled, under_way from target
