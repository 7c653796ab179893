-- Deletes, of a user who leaves, up to $3 articles beyond the newest $2, with what hangs on them: so that whoever
-- wrote however much can leave, in steps that each take little. One row: how many.
with older as (
    select id from articles
    where id = any (array(select id from articles where author_id = $1 order by id desc offset $2 limit $3))
    -- In one order, as everybody locks them.
    order by id
    for update
), gone as (
    delete from articles a using older o where a.id = o.id returning a.id
)
select count(*) as n from gone
