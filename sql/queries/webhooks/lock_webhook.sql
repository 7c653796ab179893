-- Locks a user's webhook, so that a statement after this one in the transaction sees all the secrets that it has
-- replaced. No row when there is none.
select id from webhooks where id = $1 and user_id = $2 for no key update
