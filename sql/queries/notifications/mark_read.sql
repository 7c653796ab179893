-- Marks one of a user's notifications as read, or all when $2 is null. One row: how many were meant, and
-- how many are unread afterwards.
with meant as (
    select id from notifications
    where user_id = $1 and (id = $2 or ($2::bigint is null and read_at is null))
    -- In one order, so that others who lock many cannot deadlock with it.
    order by id
    for update
), marked as (
    update notifications n set read_at = now(), updated_at = now()
    from meant m
    where n.id = m.id and n.read_at is null
    returning n.id
)
select (select count(*) from meant) as meant,
       (select count(*) from notifications n
        where n.user_id = $1 and n.read_at is null and n.id not in (select id from marked)) as unread_count
