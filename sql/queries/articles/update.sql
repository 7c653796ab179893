-- Changes what is given of an article, if the editor is its author; the slug stays. One row when there is
-- such an article: whether it was allowed, and then what it became.
with target as (
    select id, author_id = $2 as allowed from articles where slug = $1
), changed as (
    update articles a
    set title = coalesce($3, a.title), description = coalesce($4, a.description), body = coalesce($5, a.body),
        version = a.version + 1, updated_at = now()
    from target t
    where a.id = t.id and t.allowed
    returning a.*
)
select t.allowed, c.id, c.slug, c.title, c.description, c.body, c.favorites_count, c.version, c.created_at, c.updated_at,
       u.id as author_id, u.email as author_email, u.name as author_name, u.bio as author_bio, u.image as author_image,
       exists (select from favorites f where f.article_id = c.id and f.user_id = $2) as favorited
from target t
left join changed c on c.id = t.id
left join users u on u.id = c.author_id
