-- One page of a user's notifications, newest first, with the number of all unread ones. Always at least
-- one row, so that the number is there even when the page is empty.
-- $1 user, $2 only unread, $3 before this id, $4 limit
with page as (
    select * from notifications
    where user_id = $1 and (not $2 or read_at is null) and ($3::bigint is null or id < $3)
    order by id desc
    limit $4
)
select unread.n as unread_count,
       p.id, p.kind, p.count, p.read_at is not null as read, p.created_at, p.updated_at,
       u.id as actor_id, u.name as actor_name, a.slug as article_slug, a.title as article_title
from (select count(*) as n from notifications where user_id = $1 and read_at is null) unread
left join (page p join users u on u.id = p.actor_id left join articles a on a.id = p.article_id) on true
order by p.id desc
