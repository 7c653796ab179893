-- Takes back every favorite of a user who leaves, with exact counts. What was told of a favorite together with those
-- of others stands for those others from now on; what was told of it alone goes. Exact only while the user is locked
-- by an earlier statement. One row: how many favorites that were.
with removed as (
    delete from favorites where user_id = $1
    returning article_id, notification_id
), counted as (
    update articles a set favorites_count = a.favorites_count - 1
    from removed r
    where a.id = r.article_id
), told as (
    select n.id, count(f.user_id) as remaining,
           (array_agg(f.user_id order by f.created_at desc, f.user_id))[1] as last_user
    from notifications n
    left join favorites f on f.notification_id = n.id and f.user_id <> $1
    where n.kind = 'article_favorited' and n.user_id <> $1 and n.id = any (array(
        select id from notifications where actor_id = $1
        union
        select notification_id from removed where notification_id is not null))
    group by n.id
), lowered as (
    update notifications n set count = t.remaining, actor_id = t.last_user, updated_at = now()
    from told t
    where n.id = t.id and t.remaining > 0
), withdrawn as (
    delete from notifications n using told t where n.id = t.id and t.remaining = 0
)
select count(*) as n from removed
