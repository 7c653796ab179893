-- Before a user leaves, second: locks their favorites and those of their articles. One row: how many.
select count(*) as n
from (
    select f.article_id from favorites f
    where f.user_id = $1 or f.article_id = any (array(select id from articles where author_id = $1))
    order by f.article_id, f.user_id
    for update
) locked
