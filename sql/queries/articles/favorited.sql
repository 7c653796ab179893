-- One page of what somebody favorited, newest articles first, with the number of all of it. Always at least one row, so
-- that the number is there even when the page is empty. What it costs goes by how much they favorited.
-- $1 who favorited, $2 before this id, $3 after this id: the nearest to it, and then $2 and $5 do not count, $4 limit,
-- $5 offset, $6 viewer
with older as (
    select article_id as id from favorites
    where $3::bigint is null and user_id = $1 and article_id < $2
    order by article_id desc
    limit $4 offset $5
), newer as (
    select article_id as id from favorites
    where user_id = $1 and article_id > $3
    order by article_id
    limit $4
), page as (
    -- An array, so that a few are expected whatever the limit is.
    select unnest(array(select id from older union all select id from newer)) as id
)
select counted.total,
       a.id, a.slug, a.title, a.description, a.favorites_count, a.version, a.created_at, a.updated_at,
       u.id as author_id, u.email as author_email, u.name as author_name, u.bio as author_bio, u.image as author_image,
       coalesce((select true from favorites f where f.article_id = a.id and f.user_id = $6), false) as favorited
from (select count(*) as total from favorites where user_id = $1) counted
left join (page join articles a using (id) join users u on u.id = a.author_id) on true
order by a.id desc
