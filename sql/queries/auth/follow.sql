-- Follows, and leaves the job that tells the followed, exactly when the follow is new. One row when the
-- followed exists, else none: whether the follower still does. Both are locked, so that neither leaves meanwhile.
with people as (
    select id from users where id = $1 or id = $2
    order by id
    for key share
), target as (
    select id from people where id = $2
), followed as (
    insert into follows (follower_id, followed_id)
    select f.id, t.id from people f cross join target t where f.id = $1
    on conflict do nothing
    returning follower_id, followed_id
), queued as (
    insert into jobs (kind, args, traceparent)
    select 'followed', jsonb_build_object('follower_id', follower_id, 'followed_id', followed_id), $3
    from followed
)
select exists (select from people where id = $1) as welcome from target
