-- Brings an unread notification of favorites to what is told by it, or takes it back when that is nothing.
-- Exact only while the notification is locked by an earlier statement of the transaction.
with told as (
    select count(*) as n, (array_agg(user_id order by created_at desc, user_id))[1] as last_user
    from favorites
    where notification_id = $1
), lowered as (
    update notifications n
    set count = t.n, actor_id = t.last_user, updated_at = now()
    from told t
    where n.id = $1 and n.read_at is null and t.n > 0 and n.count <> t.n
)
delete from notifications n using told t
where n.id = $1 and n.read_at is null and t.n = 0
