-- Brings each pair of article and user to its wanted state, with exact counts, the jobs that tell the
-- authors, and what was told of a favorite that is taken back before it was read. Each pair stands here
-- once. Articles are locked in the order of their ids, so that two nodes cannot deadlock. One row for each
-- article that exists, as it is now, with those of the users for whom something changed.
--
-- What it touches it looks up by an index, one for each row wanted, whatever PostgreSQL takes the number of rows for: its
-- plan is made once, and may be older than most of them. So lookups are lateral or by arrays, which leaves no choice,
-- unless there were no articles at all. And each node of that plan is made ready each time, for two wishes as for sixty.
-- $1 slugs, $2 users, $3 whether favorited, $4 traces
with target as (
    select a.id, a.slug, a.title, a.description, a.body, a.author_id, a.favorites_count, a.version, a.created_at, a.updated_at
    from articles a
    where a.slug = any ($1)
    order by a.id
    for no key update
), wanted as (
    select t.id as article_id, t.author_id, w.user_id, w.favorited, w.traceparent
    from unnest($1::text[], $2::bigint[], $3::boolean[], $4::text[]) as w (slug, user_id, favorited, traceparent)
    join target t using (slug)
), added as (
    insert into favorites (article_id, user_id)
    select w.article_id, w.user_id
    from wanted w
    cross join lateral (select from users u where u.id = w.user_id limit 1) u
    where w.favorited
    on conflict do nothing
    returning article_id, user_id
), removed as (
    delete from favorites f
    -- Whoever tells of favorites locks them in the same order.
    using (select article_id, user_id from wanted where not favorited order by article_id, user_id) w
    -- That they are the same, in words by which favorites can be neither hashed nor read in order.
    where (f.article_id, f.user_id) >= (w.article_id, w.user_id)
      and (f.article_id, f.user_id) <= (w.article_id, w.user_id)
      and f.user_id = any (array[w.user_id])
    returning f.article_id, f.user_id, f.notification_id
), changed as (
    select article_id, sum(change)::int as change, array_agg(user_id) as user_ids
    from (select article_id, user_id, 1 as change from added union all select article_id, user_id, -1 from removed) changes
    group by article_id
), counted as (
    update articles a
    set favorites_count = a.favorites_count + c.change
    from changed c
    where a.id = c.article_id and a.id = any (array(select id from target))
), queued as (
    insert into jobs (kind, args, traceparent)
    select 'article_favorited', jsonb_build_object('article_id', n.article_id, 'user_id', n.user_id), w.traceparent
    from added n
    join wanted w using (article_id, user_id)
    where w.author_id <> n.user_id
), untold as materialized (
    -- Of favorites that were taken back after their author had been told of them. All favorites are locked before whatever
    -- this locks, those that are added as well.
    select take_back(array_agg(notification_id))
    from removed
    cross join (select count(*) from added) before
    where notification_id is not null
    having count(*) > 0
)
select c.user_ids as changed,
       t.body,
       t.id, t.slug, t.title, t.description, t.favorites_count + coalesce(c.change, 0) as favorites_count,
       t.version, t.created_at, t.updated_at,
       u.id as author_id, u.email as author_email, u.name as author_name, u.bio as author_bio, u.image as author_image
from target t
cross join lateral (select * from users u where u.id = t.author_id limit 1) u
left join changed c on c.article_id = t.id
-- What nobody reads is not done.
cross join (select count(*) from untold) done
