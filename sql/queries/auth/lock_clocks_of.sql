-- Before a user leaves, third: locks their clock, and those of everybody who was told of a favorite of theirs. One
-- row: how many.
select count(*) as n
from (
    select user_id from notification_clocks
    where user_id = any (array(
        select n.user_id from notifications n where n.actor_id = $1 and n.kind = 'article_favorited'
        union
        select n.user_id from favorites f join notifications n on n.id = f.notification_id where f.user_id = $1
        union
        select $1))
    order by user_id
    for no key update
) locked
