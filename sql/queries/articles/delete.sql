-- Deletes an article with its favorites and notifications, if the editor is its author and its version is one of
-- those expected, if any are. One row when there is such an article: whether it was allowed, whether the article was
-- there still, and whether it was as expected.
-- $1 slug, $2 editor, $3 expected ("article.version")
with target as (
    select id, author_id = $2 as allowed from articles where slug = $1
), locked as (
    select a.id, $3::text[] is null or a.id || '.' || a.version = any ($3) as expected
    from articles a
    join target t using (id)
    where t.allowed
    for update of a
), deleted as (
    delete from articles a using locked l where a.id = l.id and l.expected
)
select t.allowed, l.id is not null as there, coalesce(l.expected, false) as expected
from target t
left join locked l on l.id = t.id
