-- Tells people that they are followed ($1 followers, $2 followed, $3 traces), unless a follow was taken back meanwhile or
-- they do not want to know. Recipients' clocks are taken in the order of users, so that two of these cannot deadlock.
insert into notifications (user_id, kind, actor_id, traceparent)
select f.followed_id, 'followed', f.follower_id, w.traceparent
from unnest($1::bigint[], $2::bigint[], $3::text[]) as w (follower_id, followed_id, traceparent)
-- Looked up one by one, as in favorites/set.
cross join lateral (
    select * from follows f where f.follower_id = w.follower_id and f.followed_id = w.followed_id limit 1
) f
where (select p.enabled from notification_preferences p where p.user_id = f.followed_id and p.kind = 'followed') is not false
order by f.followed_id, f.follower_id
