-- Forgets jobs that were completed or cancelled $1 seconds ago, at most $2 of them; dead letters stay until somebody
-- decides about them. One row: how many.
with old as (
    select id from jobs
    where state in ('completed', 'cancelled') and finished_at < now() - make_interval(secs => $1)
    limit $2
    for update skip locked
), gone as (
    delete from jobs j using old where j.id = old.id returning j.id
)
select count(*) as n from gone
