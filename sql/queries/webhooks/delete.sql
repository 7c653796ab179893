-- Deletes a user's webhook with its deliveries. No row when there is none.
delete from webhooks where id = $1 and user_id = $2
returning id
