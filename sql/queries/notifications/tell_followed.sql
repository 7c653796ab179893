-- Tells somebody that they are followed, unless the follow was taken back meanwhile.
insert into notifications (user_id, kind, actor_id, traceparent)
select followed_id, 'followed', follower_id, $3
from follows
where follower_id = $1 and followed_id = $2
