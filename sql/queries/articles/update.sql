-- Changes what is given of an article, if the editor is its author and its version is one of those expected, if any
-- are; the slug stays. What is compared is what gets changed: the row is locked first. A change that was made before,
-- by its id, is not made again. One row when there is such an article: whether it was allowed, whether the article is
-- there still, and what it became, which is nothing when it was not as expected. What an article is found by comes with
-- each text that is given; that of the others is kept, by its weight and where it stands.
-- $1 slug, $2 editor, $3 title, $4 description, $5 body, $6 expected ("article.version"), $7 the change, $8, $9, $10
-- what the title, the description and the body are found by, as tsvectors are written
with target as (
    select id, author_id = $2 as allowed from articles where slug = $1
), locked as (
    select a.id, a.author_id, a.slug, a.title, a.description, a.body, a.favorites_count, a.version, a.created_at,
           a.updated_at, $7::uuid = any (a.changes) as repeated,
           $6::text[] is null or a.id || '.' || a.version = any ($6) as expected
    from articles a
    join target t using (id)
    where t.allowed
    for no key update of a
), changed as (
    update articles a
    set title = coalesce($3, a.title), description = coalesce($4, a.description), body = coalesce($5, a.body),
        search = case
            when $3 is null and $4 is null and $5 is null then a.search
            -- Written out and read again, since `||` would move what is kept farther with every edit.
            else concat_ws(' ', coalesce($8, ts_filter(a.search, '{a}')::text),
                                coalesce($9, ts_filter(a.search, '{b}')::text),
                                coalesce($10, ts_filter(a.search, '{d}')::text))::tsvector
        end,
        words_version = a.version + 1,
        version = a.version + 1, updated_at = now(), changes = (array_prepend($7::uuid, a.changes))[1:8]
    from locked l
    where a.id = l.id and l.expected and not l.repeated
    returning a.id, a.author_id, a.slug, a.title, a.description, a.body, a.favorites_count, a.version, a.created_at,
              a.updated_at
), current as (
    select * from changed
    union all
    select id, author_id, slug, title, description, body, favorites_count, version, created_at, updated_at
    from locked
    where repeated
)
select t.allowed, l.id is not null as there,
       c.body,
       c.id, c.slug, c.title, c.description, c.favorites_count, c.version, c.created_at, c.updated_at,
       u.id as author_id, u.email as author_email, u.name as author_name, u.bio as author_bio, u.image as author_image,
       exists (select from favorites f where f.article_id = c.id and f.user_id = $2) as favorited
from target t
left join locked l on l.id = t.id
left join current c on c.id = t.id
left join users u on u.id = c.author_id
