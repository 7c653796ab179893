-- Notes which kinds somebody wants to be told, and gives all that they ever said. Kinds that are not given stay.
-- $1 user, $2 kinds, $3 whether they are wanted
with given as (
    insert into notification_preferences (user_id, kind, enabled)
    select u.id, w.kind, w.enabled
    from unnest($2::text[], $3::boolean[]) as w (kind, enabled)
    join users u on u.id = $1
    -- In one order, so that two of these cannot deadlock.
    order by w.kind
    on conflict (user_id, kind) do update set enabled = excluded.enabled
    returning kind, enabled
)
select kind, enabled from given
union all
select kind, enabled from notification_preferences where user_id = $1 and kind <> all ($2)
