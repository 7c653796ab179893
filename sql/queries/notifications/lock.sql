-- Locks a notification, so that a statement after this one in the transaction sees all that concerns it.
select id from notifications where id = $1 for update
