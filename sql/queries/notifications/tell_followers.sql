-- Tells the next $3 followers of an article's author after follower $2 that it was published, each at most once and
-- unless they do not want to know; and leaves a job that goes on after the last of them, if there may be more. So
-- each chunk commits by itself, and none is told twice or left out.
with author as (
    select id, author_id from articles where id = $1
), chunk as (
    select f.follower_id
    from author a
    join follows f on f.followed_id = a.author_id
    where f.follower_id > $2
    order by f.follower_id
    limit $3
), told as (
    insert into notifications (user_id, kind, actor_id, article_id, traceparent)
    select c.follower_id, 'article_published', a.author_id, a.id, $4
    from chunk c
    cross join author a
    where not exists (select from notification_preferences p
                      where p.user_id = c.follower_id and p.kind = 'article_published' and not p.enabled)
    -- Each takes its recipient's clock: in one order, so that two of these cannot deadlock.
    order by c.follower_id
    on conflict (user_id, article_id) where kind = 'article_published' do nothing
)
insert into jobs (kind, args, traceparent)
select 'article_published', jsonb_build_object('article_id', $1, 'after', max(follower_id)), $4
from chunk
having count(*) = $3
