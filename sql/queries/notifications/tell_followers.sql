-- Tells every follower of an article's author that it was published, each at most once.
insert into notifications (user_id, kind, actor_id, article_id, traceparent)
select f.follower_id, 'article_published', a.author_id, a.id, $2
from articles a
join follows f on f.followed_id = a.author_id
where a.id = $1
on conflict (user_id, article_id) where kind = 'article_published' do nothing
