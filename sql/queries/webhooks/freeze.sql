-- Keeps what is sent for a delivery. The first one to be kept stays, and is what comes back.
update webhook_deliveries set body = coalesce(body, $2)
where id = $1
returning body
