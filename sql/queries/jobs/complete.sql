-- Completes attempts ($1 jobs, $2 the number of each), in the same transaction as their effects. A row for each; none
-- for one that was fenced off.
with mine as (
    select j.id
    from unnest($1::bigint[], $2::int[]) as m (id, attempt)
    -- In the words of jobs/claim.
    join jobs j on j.id = m.id and j.attempt = m.attempt
               and (j.state, j.worker) is not distinct from ('running', $3)
    where j.id = any ($1)
    order by j.id
    for update of j
)
update jobs j
set state = 'completed', finished_at = now(), worker = null
where j.id = any (array(select id from mine))
returning j.id
