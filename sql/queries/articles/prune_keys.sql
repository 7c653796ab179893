-- Forgets keys that articles were published under $1 seconds ago, at most $2 of them: they are good for nothing any
-- more. One row: how many.
with old as (
    select user_id, key from idempotency_keys
    where created_at <= now() - make_interval(secs => $1)
    limit $2
    for update skip locked
), gone as (
    delete from idempotency_keys k using old o where k.user_id = o.user_id and k.key = o.key returning k.key
)
select count(*) as n from gone
