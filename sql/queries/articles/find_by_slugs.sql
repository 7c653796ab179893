-- The articles with these slugs, but for those that are in the state in which they are known. One row for each that is in
-- another, that is not there (`id` is null), or that one of these viewers favorited; and one row if there is none, since
-- each tells the snapshot in which all of this was found. A state is told by the transactions that wrote the article's row
-- and its author's: whatever changes one writes it anew, but for a migration that exchanges a column without writing rows.
-- $1 slugs, each once, $2, $3 who wrote the article and its author, where that is known, $4 viewers
select seen.snapshot, seen.now, found.*
from (select pg_current_snapshot()::text as snapshot, now() as now) seen
left join lateral (
    select w.position,
           a.xmin as article_written_by, u.xmin as author_written_by,
           -- Most are read by nobody who is known.
           case when cardinality($4::bigint[]) > 0
               then array(select f.user_id from favorites f where f.article_id = a.id and f.user_id = any ($4))
               else '{}'
           end as favorited_by,
           a.body,
           a.id, a.slug, a.title, a.description, a.favorites_count, a.version, a.created_at, a.updated_at,
           u.id as author_id, u.email as author_email, u.name as author_name, u.bio as author_bio,
           u.image as author_image
    from unnest($1::text[], $2::int[], $3::int[]) with ordinality
        as w (slug, article_written_by, author_written_by, position)
    left join articles a on a.slug = w.slug
    left join users u on u.id = a.author_id
    where (a.xmin = w.article_written_by and u.xmin = w.author_written_by) is not true
       or case when cardinality($4) > 0
              -- An array, since PostgreSQL would hash all favorites there are to look for one.
              then array(select f.user_id from favorites f where f.article_id = a.id and f.user_id = any ($4)) <> '{}'
              else false
          end
) found on true
