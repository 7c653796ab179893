-- One page of the articles that match, newest first, with the number of all that match; of those that words are found
-- in no more than 10,000 are counted, for a common word is in nearly all. Always at least one row, so that the number is
-- there even when the page is empty. An article keeps its place, so that whoever goes
-- from page to page meets every one that was there when they began once, whatever is published meanwhile.
-- $1 words, as tsqueries are written, of which the empty one finds nothing, $2 author, $3 who favorited, $4 who follows
-- the author, $5 before this id, $6 limit, $7 offset, $8 viewer, $9 after this id: the nearest to it, and then $5 does
-- not count
with matching as not materialized (
    select a.id
    from articles a
    where ($1::text is null or a.search @@ nullif($1, '')::tsquery)
      and ($2::bigint is null or a.author_id = $2)
      and ($3::bigint is null or exists (select from favorites f where f.user_id = $3 and f.article_id = a.id))
      and ($4::bigint is null or exists (select from follows w where w.follower_id = $4 and w.followed_id = a.author_id))
), older as (
    select id from matching
    where $9::bigint is null and ($5::bigint is null or id < $5)
    order by id desc
    limit $6 offset $7
), newer as (
    select id from matching
    where $9::bigint is not null and id > $9
    order by id
    limit $6
), page as (
    select id from older
    union all
    select id from newer
)
select counted.total,
       a.id, a.slug, a.title, a.description, a.favorites_count, a.version, a.created_at, a.updated_at,
       u.id as author_id, u.email as author_email, u.name as author_name, u.bio as author_bio, u.image as author_image,
       exists (select from favorites f where f.article_id = a.id and f.user_id = $8) as favorited
from (
    select count(*) as total from (select from matching limit case when $1::text is null then null else 10000 end) counted_up
) counted
left join (page join articles a using (id) join users u on u.id = a.author_id) on true
order by a.id desc
