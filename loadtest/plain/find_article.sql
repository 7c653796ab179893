-- The article with this slug, and its author.
select a.body,
       a.id, a.slug, a.title, a.description, a.favorites_count, a.version, a.created_at, a.updated_at,
       u.id as author_id, u.name as author_name, u.bio as author_bio, u.image as author_image
from articles a
join users u on u.id = a.author_id
where a.slug = $1
