-- Ends a follow, if there is one. One row when the followed exists, else none.
with target as (
    select id from users where id = $2
), unfollowed as (
    delete from follows where follower_id = $1 and followed_id = $2
)
select id from target
