-- For each reader, who are a user and the number of the last change they saw (null: they start now), what changed
-- since, oldest first. One statement for many readers, each of whom has at least one row with where they start.
-- A number that was never given counts as now. Nothing comes between what a reader sees and what it has seen:
-- a recipient's numbers become visible in their order.
-- $1 users, $2 what they saw last, $3 how many changes for each at most
select r.reader, coalesce(least(r.after, c.last), 0) as position,
       n.change, n.id, n.kind, n.count, n.read, n.created_at, n.updated_at,
       n.actor_id, n.actor_name, n.article_slug, n.article_title
from unnest($1::bigint[], $2::bigint[]) with ordinality as r (user_id, after, reader)
left join notification_clocks c on c.user_id = r.user_id
left join lateral (
    select n.change, n.id, n.kind, n.count, n.read_at is not null as read, n.created_at, n.updated_at,
           u.id as actor_id, u.name as actor_name, a.slug as article_slug, a.title as article_title
    from notifications n
    join users u on u.id = n.actor_id
    left join articles a on a.id = n.article_id
    where n.user_id = r.user_id and n.change > r.after
    order by n.change
    limit $3
) n on true
order by r.reader, n.change
