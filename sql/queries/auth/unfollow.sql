-- Ends a follow, if there is one. One row when the followed exists, else none: whether the follower still does.
with target as (
    select id from users where id = $2
), unfollowed as (
    delete from follows where follower_id = $1 and followed_id = $2
)
select exists (select from users where id = $1) as welcome from target
