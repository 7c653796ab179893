-- Has messages sent to a user's webhook again. No row when there is none.
update webhooks set disabled_at = null where id = $1 and user_id = $2
returning id, url, kinds, disabled_at is null as enabled, created_at
