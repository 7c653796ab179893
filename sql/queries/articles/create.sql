-- Publishes articles, each with the job that tells its author's followers: both or neither. One row for
-- each article made; none for one whose slug is taken or whose author is gone.
with wanted as (
    select * from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
        as t (author_id, slug, title, description, body, traceparent)
), created as (
    insert into articles (author_id, slug, title, description, body)
    select w.author_id, w.slug, w.title, w.description, w.body
    from wanted w
    join users u on u.id = w.author_id
    on conflict (slug) do nothing
    returning id, author_id, slug, title, description, body, favorites_count, version, created_at, updated_at
), queued as (
    insert into jobs (kind, args, traceparent)
    select 'article_published', jsonb_build_object('article_id', c.id), w.traceparent
    from created c
    join wanted w using (slug)
)
select c.*, u.email as author_email, u.name as author_name, u.bio as author_bio, u.image as author_image
from created c
join users u on u.id = c.author_id
