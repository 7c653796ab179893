-- One page of what the authors wrote whom somebody follows, newest first, with the number of all of it. Always at least
-- one row, so that the number is there even when the page is empty. What it costs goes by how many they follow, and not
-- by how many articles there are: totals are kept, and the page is met among as many of the newest articles as they
-- follow authors, or else each author's newest are looked up by the index, which for a thousand authors takes 13 ms
-- where the former takes one.
-- $1 who follows, $2 before this id, $3 after this id: the nearest to it, and then $2 and $5 do not count, $4 limit,
-- $5 offset, $6 viewer
with followed as materialized (
    select followed_id as author_id from follows where follower_id = $1
), counted as (
    select coalesce(sum(articles), 0)::bigint as total
    from (
        select t.articles from followed join author_totals t using (author_id)
        union all
        select c.change from article_changes c where c.author_id in (select author_id from followed)
    ) counted_up
), met as materialized (
    -- Asked article by article, with the followed hashed once, so that it ends with the last that is wanted.
    select a.id
    from (
        select id, author_id from articles
        where $3::bigint is null and id < $2
        order by id desc
        limit (select count(*) from followed)
    ) a
    where (a.author_id in (select author_id from followed)) is true
    order by a.id desc
    limit $4::bigint + $5::bigint
), enough as materialized (
    select count(*) >= $4::bigint + $5::bigint as are from met
), older as (
    (select id from met where (select are from enough) order by id desc limit $4 offset $5)
    union all
    (
        select a.id
        from (select author_id from followed where $3::bigint is null and not (select are from enough)) w
        cross join lateral (
            select a.id from articles a
            where a.author_id = w.author_id and a.id < $2
            order by a.id desc
            limit $4::bigint + $5::bigint
        ) a
        order by a.id desc
        limit $4 offset $5
    )
), newer as (
    select a.id
    from (select author_id from followed where $3::bigint is not null) w
    cross join lateral (
        select a.id from articles a
        where a.author_id = w.author_id and a.id > $3
        order by a.id
        limit $4
    ) a
    order by a.id
    limit $4
), page as (
    -- An array, so that a few are expected whatever the limit is.
    select unnest(array(select id from older union all select id from newer)) as id
)
select counted.total,
       a.id, a.slug, a.title, a.description, a.favorites_count, a.version, a.created_at, a.updated_at,
       u.id as author_id, u.email as author_email, u.name as author_name, u.bio as author_bio, u.image as author_image,
       coalesce((select true from favorites f where f.article_id = a.id and f.user_id = $6), false) as favorited
from counted
left join (page join articles a using (id) join users u on u.id = a.author_id) on true
order by a.id desc
