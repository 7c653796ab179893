-- Publishes articles, each with the job that tells its author's followers and the key that it is published under, if
-- any: all or nothing. One row for each article wanted: whether its author is there; what was published under its key
-- before ("same" as is wanted now, or not); whether its key is free or in use by a transaction that is still open; and
-- the id of what was made. Where there is none of these the slug was taken, or another transaction was faster: asked
-- again, the statement tells. Keys are locked without waiting until the commit, and only while nothing is known to be
-- published under them, so that those who ask for the first answer again do not get into each other's way.
-- $1 authors, $2 slugs, $3 titles, $4 descriptions, $5 bodies, $6 traces, $7 keys, $8 fingerprints, $9 what they are
-- found by, as tsvectors are written, $10 seconds that a key is good for
with wanted as materialized (
    select *, row_number() over (partition by author_id, key order by number) = 1 as first
    from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[],
                $9::text[])
        with ordinality as t (author_id, slug, title, description, body, traceparent, key, fingerprint, search, number)
), known as materialized (
    select w.number, k.*, k.fingerprint = w.fingerprint as same
    from wanted w
    -- Looked up one by one, as in favorites/set.
    cross join lateral (
        select * from idempotency_keys k where k.user_id = w.author_id and k.key = w.key limit 1
    ) k
    where w.key is not null and k.created_at > now() - make_interval(secs => $10)
), attempted as materialized (
    select w.*, u.email, u.name, u.bio, u.image, nextval('articles_id_seq') as id,
           case
               when w.key is null then true
               -- Of several with one key the first has it in hand.
               when w.first then
                   pg_try_advisory_xact_lock(hashtextextended('callboard.articles.' || w.author_id || '.' || w.key, 0))
               else false
           end as free
    from wanted w
    join users u on u.id = w.author_id
    where not exists (select from known k where k.number = w.number)
      and not exists (select from articles a where a.slug = w.slug)
), claimed as (
    insert into idempotency_keys as k
        (user_id, key, fingerprint, article_id, slug, author_email, author_name, author_bio, author_image)
    select author_id, key, fingerprint, id, slug, email, name, bio, image
    from attempted
    where free and key is not null
    on conflict (user_id, key) do update
    set fingerprint = excluded.fingerprint, article_id = excluded.article_id, slug = excluded.slug,
        author_email = excluded.author_email, author_name = excluded.author_name, author_bio = excluded.author_bio,
        author_image = excluded.author_image, created_at = now()
    -- Not if another transaction published under it since this statement began.
    where k.created_at <= now() - make_interval(secs => $10)
    returning article_id
), created as (
    insert into articles (id, author_id, slug, title, description, body, search)
    overriding system value
    select id, author_id, slug, title, description, body, search::tsvector
    from attempted
    where key is null or id in (select article_id from claimed)
    returning id, created_at
), queued as (
    insert into jobs (kind, args, traceparent)
    select 'article_published', jsonb_build_object('article_id', c.id), t.traceparent
    from created c
    join attempted t using (id)
)
select u.id is not null as has_author, k.same, coalesce(t.free, true) as free,
       coalesce(k.article_id, c.id) as id, coalesce(k.slug, t.slug) as slug,
       coalesce(k.created_at, c.created_at) as created_at, w.author_id,
       coalesce(k.author_email, t.email) as author_email, coalesce(k.author_name, t.name) as author_name,
       coalesce(k.author_bio, t.bio) as author_bio, coalesce(k.author_image, t.image) as author_image
from wanted w
left join users u on u.id = w.author_id
left join known k on k.number = w.number
left join attempted t on t.number = w.number
left join created c on c.id = t.id
order by w.number
