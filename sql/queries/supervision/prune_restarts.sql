-- Forgets restarts that are older than $1 seconds, by the database's clock, and those beyond the newest $2. One
-- row: how many that were.
with pruned as (
    delete from actor_restarts
    where at < now() - make_interval(secs => $1)
       or id <= (select id from actor_restarts order by id desc offset $2 limit 1)
    returning id
)
select count(*) as pruned from pruned
