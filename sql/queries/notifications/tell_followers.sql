-- Tells every follower of an article's author who wants to know that it was published, each at most once.
insert into notifications (user_id, kind, actor_id, article_id)
select f.follower_id, 'article_published', a.author_id, a.id
from articles a
join follows f on f.followed_id = a.author_id
where a.id = $1
  and not exists (select from notification_preferences p
                  where p.user_id = f.follower_id and p.kind = 'article_published' and not p.enabled)
-- Each takes its recipient's clock: in one order, so that two of these cannot deadlock.
order by f.follower_id
on conflict (user_id, article_id) where kind = 'article_published' do nothing
