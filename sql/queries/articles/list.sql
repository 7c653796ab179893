-- One page of the articles that match, newest first, with the number of all that match. Always at least one row, so that
-- the number is there even when the page is empty. An article keeps its place, so that whoever goes
-- from page to page meets every one that was there when they began once, whatever is published meanwhile.
-- $1 author, $2 who favorited, $3 who follows the author, $4 before this id, $5 limit, $6 offset, $7 viewer, $8 after this
-- id: the nearest to it, and then $4 does not count
with matching as not materialized (
    select a.id
    from articles a
    where ($1::bigint is null or a.author_id = $1)
      and ($2::bigint is null or exists (select from favorites f where f.user_id = $2 and f.article_id = a.id))
      and ($3::bigint is null or exists (select from follows w where w.follower_id = $3 and w.followed_id = a.author_id))
), older as (
    select id from matching
    where $8::bigint is null and ($4::bigint is null or id < $4)
    order by id desc
    limit $5 offset $6
), newer as (
    select id from matching
    where $8::bigint is not null and id > $8
    order by id
    limit $5
), page as (
    select id from older
    union all
    select id from newer
)
select counted.total,
       a.id, a.slug, a.title, a.description, a.favorites_count, a.version, a.created_at, a.updated_at,
       u.id as author_id, u.email as author_email, u.name as author_name, u.bio as author_bio, u.image as author_image,
       exists (select from favorites f where f.article_id = a.id and f.user_id = $7) as favorited
from (select count(*) as total from matching) counted
left join (page join articles a using (id) join users u on u.id = a.author_id) on true
order by a.id desc
