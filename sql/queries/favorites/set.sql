-- Brings each pair of article and user to its wanted state, with exact counts, the jobs that tell the
-- authors, and what was told of a favorite that is taken back before it was read. Each pair stands here
-- once. Articles are locked in the order of their ids, so that two nodes cannot deadlock. One row for each
-- article that exists, as it is now: for which users it was wanted, and whether each had it favorited before.
--
-- What it touches it looks up by an index, one for each row wanted, whatever PostgreSQL takes the number of rows for: its
-- plan is made once, and may be older than most of them. So lookups are lateral or by arrays, which leaves no choice,
-- unless there were no articles at all.
-- $1 slugs, $2 users, $3 whether favorited, $4 traces
with target as (
    select a.id, a.slug, a.author_id
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
), taken as (
    -- Whoever tells of favorites locks them in the same order.
    select f.article_id, f.user_id
    from (select article_id, user_id from wanted where not favorited order by article_id, user_id) w
    cross join lateral (
        select * from favorites f where f.article_id = w.article_id and f.user_id = w.user_id for update
    ) f
), removed as (
    delete from favorites f
    using taken t
    -- That they are the same, in words by which favorites can be neither hashed nor read in order.
    where (f.article_id, f.user_id) >= (t.article_id, t.user_id)
      and (f.article_id, f.user_id) <= (t.article_id, t.user_id)
      and f.user_id = any (array[t.user_id])
    returning f.article_id, f.user_id, f.notification_id
), counted as (
    update articles a
    set favorites_count = a.favorites_count + d.change
    from (
        select article_id, sum(change) as change
        from (select article_id, 1 as change from added union all select article_id, -1 from removed) changes
        group by article_id
    ) d
    where a.id = d.article_id and a.id = any (array(select id from target))
    returning a.id, a.favorites_count
), queued as (
    insert into jobs (kind, args, traceparent)
    select 'article_favorited', jsonb_build_object('article_id', n.article_id, 'user_id', n.user_id), w.traceparent
    from added n
    join wanted w using (article_id, user_id)
    where w.author_id <> n.user_id
), untold as (
    -- Favorites that were taken back after their author had been told of them.
    select r.article_id, r.user_id, r.notification_id, w.author_id, w.traceparent
    from removed r
    join wanted w using (article_id, user_id)
    where r.notification_id is not null
), clocks as (
    -- Whoever changes notifications locks their recipients' clocks before them. The array is there before
    -- the first lock is taken, and with it every favorite that has to be waited for.
    select c.user_id
    from notification_clocks c
    where c.user_id = any (array(select author_id from untold))
    order by c.user_id
    for no key update
), unread as (
    select n.id, n.count
    from notifications n
    where n.id = any (array(select notification_id from untold))
      and n.user_id = any (array(select user_id from clocks)) and n.read_at is null
    order by n.id
    for update
), taken_back as (
    select u.id, u.count, count(*) as taken
    from unread u
    join untold r on r.notification_id = u.id
    group by u.id, u.count
), lowered as (
    update notifications n
    set count = b.count - b.taken, updated_at = now(),
        -- The notification names the last of those who still like the article.
        actor_id = coalesce((
            select f.user_id from favorites f
            where f.notification_id = n.id
              and (f.article_id, f.user_id) not in (select r.article_id, r.user_id from removed r)
            order by f.created_at desc, f.user_id
            limit 1), n.actor_id)
    from taken_back b
    where n.id = b.id and b.count > b.taken and n.id = any (array(select id from unread))
), withdrawn as (
    delete from notifications n using taken_back b
    where n.id = b.id and b.count <= b.taken and n.id = any (array(select id from unread))
), recounted as (
    -- A notification that was made while this statement waited for its favorite is not visible to it: a job
    -- counts again. One that waits counts for all, also for us: our author's clock is locked when it is looked for,
    -- and one that is being claimed is waited for and found to wait no more. So its attempt begins later, and with
    -- its own lock on that clock (notifications/lock) waits for our commit before it counts.
    insert into jobs (kind, args, unique_key, traceparent)
    select distinct on (r.notification_id)
           'favorites_recounted', jsonb_build_object('notification_id', r.notification_id), r.notification_id::text,
           r.traceparent
    from untold r
    where (select count(*) from notifications n where n.id = r.notification_id and n.user_id = r.author_id) = 0
      -- Reads the locks' rows, so that they are taken first; an author without a clock has gone, with what they were told.
      and r.author_id = any (array(select user_id from clocks))
    on conflict (kind, unique_key) where unique_key is not null and state in ('scheduled', 'available') do nothing
), outcome as (
    -- Both arrays have the order in which the rows come, which is one for all aggregates of a select.
    select w.article_id as id, array_agg(w.user_id) as user_ids,
           array_agg(r.user_id is not null or (w.favorited and n.user_id is null)) as were_favorited
    from wanted w
    left join added n using (article_id, user_id)
    left join removed r using (article_id, user_id)
    group by w.article_id
)
select o.user_ids, o.were_favorited,
       a.body,
       a.id, a.slug, a.title, a.description, coalesce(c.favorites_count, a.favorites_count) as favorites_count,
       a.version, a.created_at, a.updated_at,
       u.id as author_id, u.email as author_email, u.name as author_name, u.bio as author_bio, u.image as author_image
from outcome o
cross join lateral (select * from articles a where a.id = o.id limit 1) a
cross join lateral (select * from users u where u.id = a.author_id limit 1) u
left join counted c on c.id = o.id
