-- Spends a refresh token and issues the next one of its session. Of many who bring one token at once
-- exactly one succeeds; a token that was spent before ends its session for good, which never lasts longer for being
-- refreshed. Rows: the outcome ('refreshed', 'reused'), the session and its user; none when the token is unknown or
-- its session over.
with brought as (
    select t.hash, t.spent_at, s.id as session_id, s.user_id
    from refresh_tokens t
    join sessions s on s.id = t.session_id
    where t.hash = $1 and s.ended_at is null and s.expires_at > now()
    for update
), spent as (
    update refresh_tokens t set spent_at = now()
    from brought b
    where t.hash = b.hash and b.spent_at is null
    returning b.session_id, b.user_id
), issued as (
    insert into refresh_tokens (hash, session_id)
    select $2, session_id from spent
), noted as (
    update sessions s set refreshed_at = now()
    from spent p
    where s.id = p.session_id
), ended as (
    update sessions s set ended_at = now()
    from brought b
    where s.id = b.session_id and b.spent_at is not null
    returning s.id, s.user_id
)
select 'refreshed' as outcome, session_id, user_id from spent
union all
select 'reused', id, user_id from ended
