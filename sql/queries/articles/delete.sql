-- Deletes an article with its favorites and notifications, if the editor is its author. One row when
-- there is such an article: whether it was allowed.
with target as (
    select id, author_id = $2 as allowed from articles where slug = $1
), deleted as (
    delete from articles a using target t where a.id = t.id and t.allowed
)
select allowed from target
