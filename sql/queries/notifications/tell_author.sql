-- Tells an article's author of one favorite, unless it was taken back meanwhile, is told already or they do not
-- want to be told. Unread ones of the same article collapse into one row with a count, which counts exactly
-- the favorites that name it: one that was not told names none, also when later ones are.
with favorite as (
    select f.article_id, f.user_id, a.author_id
    from favorites f
    join articles a on a.id = f.article_id
    where f.article_id = $1 and f.user_id = $2 and f.notification_id is null and a.author_id <> f.user_id
      and not exists (select from notification_preferences p
                      where p.user_id = a.author_id and p.kind = 'article_favorited' and not p.enabled)
    for update of f
), told as (
    insert into notifications (user_id, kind, actor_id, article_id, traceparent)
    select author_id, 'article_favorited', user_id, article_id, $3 from favorite
    on conflict (user_id, article_id) where kind = 'article_favorited' and read_at is null
    do update set count = notifications.count + 1, actor_id = excluded.actor_id,
                  traceparent = excluded.traceparent, updated_at = now()
    returning id
)
update favorites f set notification_id = told.id
from told, favorite v
where f.article_id = v.article_id and f.user_id = v.user_id
