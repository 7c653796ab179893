-- Locks a notification, after its recipient's clock as everybody does, so that a statement after this one in
-- the transaction sees all that concerns it.
with clock as (
    select c.user_id
    from notification_clocks c
    where c.user_id = (select user_id from notifications where id = $1)
    for no key update
)
select id from notifications where id = $1 and user_id = any (array(select user_id from clock)) for update
