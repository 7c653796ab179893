-- Tells people that they are followed ($1 followers, $2 followed, $3 traces), unless a follow was taken back meanwhile or
-- they do not want to know. Recipients' clocks are taken in the order of users, so that two of these cannot deadlock.
insert into notifications (user_id, kind, actor_id, traceparent)
select f.followed_id, 'followed', f.follower_id, w.traceparent
from unnest($1::bigint[], $2::bigint[], $3::text[]) as w (follower_id, followed_id, traceparent)
join follows f on f.follower_id = w.follower_id and f.followed_id = w.followed_id
where not exists (select from notification_preferences p
                  where p.user_id = f.followed_id and p.kind = 'followed' and not p.enabled)
order by f.followed_id, f.follower_id
