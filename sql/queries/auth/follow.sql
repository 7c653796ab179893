-- Follows, and leaves the job that tells the followed, exactly when the follow is new. One row when the
-- followed exists, else none.
with target as (
    select id from users where id = $2
), followed as (
    insert into follows (follower_id, followed_id)
    select $1, id from target
    on conflict do nothing
    returning follower_id, followed_id
), queued as (
    insert into jobs (kind, args, traceparent)
    select 'followed', jsonb_build_object('follower_id', follower_id, 'followed_id', followed_id), $3
    from followed
)
select id from target
