-- Tells articles' authors of favorites ($1 articles, $2 users, $3 traces), unless one was taken back meanwhile, is told
-- already or its author does not want to be told. Unread ones of the same article collapse into one row with a count,
-- which counts exactly the favorites that name it: one that was not told names none, also when later ones are.
-- Favorites are locked in the order of their keys and recipients' clocks in that of users, so that two of these, or one
-- and whoever takes favorites back, cannot deadlock.
with favorite as (
    select f.article_id, f.user_id, f.created_at, w.author_id, w.traceparent
    from (
        -- A favorite that was taken back and added again has left two jobs.
        select distinct on (given.article_id, given.user_id) given.*, a.author_id
        from unnest($1::bigint[], $2::bigint[], $3::text[]) as given (article_id, user_id, traceparent)
        cross join lateral (select author_id from articles a where a.id = given.article_id limit 1) a
        where a.author_id <> given.user_id
          and (select p.enabled from notification_preferences p where p.user_id = a.author_id and p.kind = 'article_favorited') is not false
        order by given.article_id, given.user_id
    ) w
    -- Looked up one by one, as in favorites/set.
    cross join lateral (
        select * from favorites f
        where f.article_id = w.article_id and f.user_id = w.user_id and f.notification_id is null
        for update
    ) f
), told as (
    insert into notifications (user_id, kind, actor_id, article_id, count, traceparent)
    select author_id, 'article_favorited', (array_agg(user_id order by created_at desc, user_id))[1], article_id, count(*),
           (array_agg(traceparent order by created_at desc, user_id))[1]
    from favorite
    group by author_id, article_id
    order by author_id, article_id
    on conflict (user_id, article_id) where kind = 'article_favorited' and read_at is null
    do update set count = notifications.count + excluded.count, actor_id = excluded.actor_id,
                  traceparent = excluded.traceparent, updated_at = now()
    returning id, article_id
)
update favorites f set notification_id = told.id
from told
join favorite v on v.article_id = told.article_id
where (f.article_id, f.user_id) >= (v.article_id, v.user_id)
  and (f.article_id, f.user_id) <= (v.article_id, v.user_id)
  and f.user_id = any (array[v.user_id])
