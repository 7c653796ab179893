-- Tells followers of articles' authors that these were published ($1 articles, $2 the last follower who has been told of
-- each, $3 traces): of each article the next $4, each at most once and unless they do not want to know. Leaves a job for
-- each that goes on after the last of them, if there may be more. So each chunk commits by itself, and none is told twice
-- or left out.
with wanted as (
    select w.number, w.after, w.traceparent, a.id as article_id, a.author_id
    from unnest($1::bigint[], $2::bigint[], $3::text[]) with ordinality as w (article_id, after, traceparent, number)
    join articles a on a.id = w.article_id and a.id = any ($1)
    -- As their notifications will by their keys, but in the order in which everybody locks them.
    order by a.id
    for key share of a
), chunk as materialized (
    select w.*, f.follower_id
    from wanted w
    cross join lateral (
        select follower_id from follows
        where followed_id = w.author_id and follower_id > w.after
        order by follower_id
        limit $4
    ) f
), told as (
    insert into notifications (user_id, kind, actor_id, article_id, traceparent)
    select c.follower_id, 'article_published', c.author_id, c.article_id, c.traceparent
    from chunk c
    where (select p.enabled from notification_preferences p where p.user_id = c.follower_id and p.kind = 'article_published') is not false
    -- Each takes its recipient's clock: in one order, so that two of these cannot deadlock.
    order by c.follower_id, c.article_id
    on conflict (user_id, article_id) where kind = 'article_published' do nothing
)
insert into jobs (kind, args, traceparent)
select 'article_published', jsonb_build_object('article_id', article_id, 'after', max(follower_id)), traceparent
from chunk
group by number, article_id, traceparent
having count(*) = $4
