-- The articles with these slugs and, of these viewers, who favorited each: one row for each article found.
select a.body,
       a.id, a.slug, a.title, a.description, a.favorites_count, a.version, a.created_at, a.updated_at,
       u.id as author_id, u.email as author_email, u.name as author_name, u.bio as author_bio, u.image as author_image,
       -- Most are read by nobody who is known.
       case when cardinality($2::bigint[]) > 0
           then array(select f.user_id from favorites f where f.article_id = a.id and f.user_id = any ($2))
           else '{}'
       end as favorited_by
from articles a
join users u on u.id = a.author_id
where a.slug = any ($1)
