-- Locks a user, so that a statement after this one in the transaction sees all the webhooks that they have. No row
-- when the user is gone.
select id from users where id = $1 for no key update
