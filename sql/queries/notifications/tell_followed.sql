-- Tells somebody that they are followed, unless the follow was taken back meanwhile or they do not want to know.
insert into notifications (user_id, kind, actor_id, traceparent)
select followed_id, 'followed', follower_id, $3
from follows f
where follower_id = $1 and followed_id = $2
  and not exists (select from notification_preferences p
                  where p.user_id = f.followed_id and p.kind = 'followed' and not p.enabled)
