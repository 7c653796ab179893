-- Notes what an attempt at a delivery came to, whatever becomes of its job; nothing when the delivery is gone.
insert into webhook_attempts (delivery_id, status, error, duration_ms)
select id, $2::int, $3::text, $4::float8
from webhook_deliveries
where id = $1
