-- One page of a user's notifications, newest first, with the number of all unread ones. Always at least
-- one row, so that the number is there even when the page is empty.
-- $1 user, $2 only unread, $3 before this id, $4 limit
-- Only one of the two that the page is made of is looked for: by the index of the unread, or by that of all.
with page as (
    (
        select * from notifications
        where $2 and user_id = $1 and read_at is null and id < coalesce($3, 9223372036854775807)
        order by id desc
        limit $4
    )
    union all
    (
        select * from notifications
        where not $2 and user_id = $1 and id < coalesce($3, 9223372036854775807)
        order by id desc
        limit $4
    )
)
select unread.n as unread_count,
       p.id, p.kind, p.count, p.read_at is not null as read, p.created_at, p.updated_at,
       u.id as actor_id, u.name as actor_name, a.slug as article_slug, a.title as article_title
from (select count(*) as n from notifications where user_id = $1 and read_at is null) unread
left join (page p join users u on u.id = p.actor_id left join articles a on a.id = p.article_id) on true
order by p.id desc
