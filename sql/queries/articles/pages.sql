-- Several pages of all articles, each newest first, with the number of all. Always at least one row for each page, so
-- that the number is there even when the page is empty. An article keeps its place, so that whoever goes from page to
-- page meets every one that was there when they began once, whatever is published meanwhile.
-- The arrays are read through subqueries, so that the planner expects as many pages with every plan and one plan serves
-- all; the viewer's favorites are looked up by key, and not at all for nobody.
-- $1 before these ids, $2 after these ids: the nearest to them, and then $1 and $4 do not count, $3 limits, $4 offsets,
-- $5 viewers
select w.page,
       (select articles from article_totals)
           + (select coalesce(sum(change), 0)::bigint from article_changes) as total,
       a.id, a.slug, a.title, a.description, a.favorites_count, a.version, a.created_at, a.updated_at,
       u.id as author_id, u.email as author_email, u.name as author_name, u.bio as author_bio, u.image as author_image,
       w.viewer is not null and coalesce(
           (select true from favorites f where f.article_id = a.id and f.user_id = w.viewer), false) as favorited
from unnest((select $1::bigint[]), (select $2::bigint[]), (select $3::bigint[]), (select $4::bigint[]),
            (select $5::bigint[])) with ordinality as w (before, after, size, skipped, viewer, page)
left join lateral unnest(case
    when w.after is null then array(
        select id from articles where id < w.before order by id desc limit w.size offset w.skipped)
    else array(
        select id from articles where id > w.after order by id limit w.size)
end) as p (id) on true
left join articles a on a.id = p.id
left join users u on u.id = a.author_id
order by w.page, a.id desc
