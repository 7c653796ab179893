-- Brings each pair of article and user to its wanted state, with exact counts, the jobs that tell the
-- authors, and what was told of a favorite that is taken back before it was read. Each pair stands here
-- once. Articles are locked in the order of their ids, so that two nodes cannot deadlock. One row for each
-- article that exists, as it is now: for which users it was wanted, and whether each had it favorited before.
with wanted as (
    select * from unnest($1::text[], $2::bigint[], $3::boolean[], $4::text[])
        as t (slug, user_id, favorited, traceparent)
), target as (
    select a.id, a.slug, a.author_id
    from articles a
    where a.slug = any ($1)
    order by a.id
    for no key update
), added as (
    insert into favorites (article_id, user_id)
    select t.id, w.user_id
    from wanted w
    join target t using (slug)
    join users u on u.id = w.user_id
    where w.favorited
    on conflict do nothing
    returning article_id, user_id
), taken as (
    -- Whoever tells of favorites locks them in the same order.
    select f.article_id, f.user_id
    from favorites f
    join target t on t.id = f.article_id
    join wanted w on w.slug = t.slug and w.user_id = f.user_id
    where not w.favorited
    order by f.article_id, f.user_id
    for update of f
), removed as (
    delete from favorites f
    using taken t
    where f.article_id = t.article_id and f.user_id = t.user_id
    returning f.article_id, f.user_id, f.notification_id
), counted as (
    update articles a
    set favorites_count = a.favorites_count + d.change
    from (
        select article_id, sum(change) as change
        from (select article_id, 1 as change from added union all select article_id, -1 from removed) changes
        group by article_id
    ) d
    where a.id = d.article_id
    returning a.id, a.favorites_count
), queued as (
    insert into jobs (kind, args, traceparent)
    select 'article_favorited', jsonb_build_object('article_id', n.article_id, 'user_id', n.user_id), w.traceparent
    from added n
    join target t on t.id = n.article_id
    join wanted w on w.slug = t.slug and w.user_id = n.user_id
    where t.author_id <> n.user_id
), clocks as (
    -- Whoever changes notifications locks their recipients' clocks before them. The array is there before
    -- the first lock is taken, and with it every favorite that has to be waited for.
    select c.user_id
    from notification_clocks c
    where c.user_id = any (array(
        select t.author_id from removed r join target t on t.id = r.article_id where r.notification_id is not null))
    order by c.user_id
    for no key update
), unread as (
    select n.id, n.count
    from notifications n
    where n.id = any (array(select notification_id from removed where notification_id is not null))
      and n.user_id = any (array(select user_id from clocks)) and n.read_at is null
    order by n.id
    for update
), taken_back as (
    select u.id, u.count, count(*) as taken
    from unread u
    join removed r on r.notification_id = u.id
    group by u.id, u.count
), lowered as (
    update notifications n
    set count = b.count - b.taken, updated_at = now(),
        -- The notification names the last of those who still like the article.
        actor_id = coalesce((
            select f.user_id from favorites f
            where f.notification_id = n.id
              and not exists (select from removed r where r.article_id = f.article_id and r.user_id = f.user_id)
            order by f.created_at desc, f.user_id
            limit 1), n.actor_id)
    from taken_back b
    where n.id = b.id and b.count > b.taken
), withdrawn as (
    delete from notifications n using taken_back b
    where n.id = b.id and b.count <= b.taken
), recounted as (
    -- A notification that was made while this statement waited for its favorite is not visible to it: a job
    -- counts again. One that waits counts for all, also for us: our author's clock is locked when it is looked for,
    -- and one that is being claimed is waited for and found to wait no more. So its attempt begins later, and with
    -- its own lock on that clock (notifications/lock) waits for our commit before it counts.
    insert into jobs (kind, args, unique_key, traceparent)
    select distinct on (r.notification_id)
           'favorites_recounted', jsonb_build_object('notification_id', r.notification_id), r.notification_id::text,
           w.traceparent
    from removed r
    join target t on t.id = r.article_id
    join wanted w on w.slug = t.slug and w.user_id = r.user_id
    where r.notification_id is not null
      and not exists (select from notifications n where n.id = r.notification_id)
      -- Reads the locks' rows, so that they are taken first; an author without a clock has gone, with what they were told.
      and t.author_id = any (array(select user_id from clocks))
    on conflict (kind, unique_key) where unique_key is not null and state in ('scheduled', 'available') do nothing
), outcome as (
    -- Both arrays have the order in which the rows come, which is one for all aggregates of a select.
    select t.id, array_agg(w.user_id) as user_ids,
           array_agg(r.user_id is not null or (w.favorited and n.user_id is null)) as were_favorited
    from wanted w
    join target t using (slug)
    left join added n on n.article_id = t.id and n.user_id = w.user_id
    left join removed r on r.article_id = t.id and r.user_id = w.user_id
    group by t.id
)
select o.user_ids, o.were_favorited,
       a.body,
       a.id, a.slug, a.title, a.description, coalesce(c.favorites_count, a.favorites_count) as favorites_count,
       a.version, a.created_at, a.updated_at,
       u.id as author_id, u.email as author_email, u.name as author_name, u.bio as author_bio, u.image as author_image
from outcome o
join articles a on a.id = o.id
join users u on u.id = a.author_id
left join counted c on c.id = a.id
