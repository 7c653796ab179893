-- Forgets secrets that were replaced and do not sign any more, at most $1 of them.
with old as (
    select id from webhook_retired_secrets where until <= now() limit $1 for update skip locked
)
delete from webhook_retired_secrets r using old where r.id = old.id
