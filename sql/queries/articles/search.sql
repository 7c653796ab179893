-- One page of the articles with these words that match, newest first, with the number of all that match, of which no more
-- than 10,000 are counted, for a common word is in nearly all. Always at least one row, so that the number is there even
-- when the page is empty. Words that few articles have are found by the index of words, and the page is made of what was
-- found; where there are 10,000 or more the newest are met soon by going from article to article. Which of the two it is
-- is known only when it is counted: nobody else can tell how many articles have a word.
-- $1 words, as tsqueries are written, of which the empty one finds nothing, $2 author, $3 who favorited, $4 who follows
-- the author, $5 before this id, $6 limit, $7 offset, $8 viewer, $9 after this id: the nearest to it, and then $5 does
-- not count
with found as materialized (
    select id, author_id from articles where search @@ nullif($1, '')::tsquery limit 10000
), few as materialized (
    select count(*) < 10000 as are from found
), of_few as materialized (
    select a.id
    from found a
    where (select are from few)
      and ($2::bigint is null or a.author_id = $2)
      and ($3::bigint is null or exists (select from favorites f where f.user_id = $3 and f.article_id = a.id))
      and ($4::bigint is null or exists (select from follows w where w.follower_id = $4 and w.followed_id = a.author_id))
), of_many as not materialized (
    select a.id
    from articles a
    where not (select are from few)
      and a.search @@ nullif($1, '')::tsquery
      and ($2::bigint is null or a.author_id = $2)
      and ($3::bigint is null or exists (select from favorites f where f.user_id = $3 and f.article_id = a.id))
      and ($4::bigint is null or exists (select from follows w where w.follower_id = $4 and w.followed_id = a.author_id))
), counted as (
    select (select count(*) from of_few) + (select count(*) from (select from of_many limit 10000) many) as total
), page as (
    (select id from of_few where $9::bigint is null and ($5::bigint is null or id < $5) order by id desc limit $6 offset $7)
    union all
    (select id from of_many where $9::bigint is null and ($5::bigint is null or id < $5) order by id desc limit $6 offset $7)
    union all
    (select id from of_few where $9::bigint is not null and id > $9 order by id limit $6)
    union all
    (select id from of_many where $9::bigint is not null and id > $9 order by id limit $6)
)
select counted.total,
       a.id, a.slug, a.title, a.description, a.favorites_count, a.version, a.created_at, a.updated_at,
       u.id as author_id, u.email as author_email, u.name as author_name, u.bio as author_bio, u.image as author_image,
       exists (select from favorites f where f.article_id = a.id and f.user_id = $8) as favorited
from counted
left join (page join articles a using (id) join users u on u.id = a.author_id) on true
order by a.id desc
