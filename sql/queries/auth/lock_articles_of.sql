-- Before a user leaves, first: locks their articles and those they favorited, in the order of their ids as everybody
-- does. Not yet against those who tell of them, who may hold clocks that are locked after this. One row: how many.
select count(*) as n
from (
    select id from articles
    where id = any (array(
        select id from articles where author_id = $1
        union
        select article_id from favorites where user_id = $1))
    order by id
    for no key update
) locked
