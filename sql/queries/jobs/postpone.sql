-- Puts jobs off that were taken from the stream and could not be claimed, but may be later: their kind is full, or not
-- known here, or all is paused. The more of a kind wait, the longer: a quarter of a second and a time drawn from up to
-- half a minute, so that they do not all come back at once. Counts no further than makes a difference. One row for
-- each: when, in milliseconds since 1970.
with refused as (
    select distinct kind from jobs where id = any ($1)
), waiting as (
    select r.kind, counted.n
    from refused r
    cross join lateral (
        select count(*) as n
        from (select from jobs w where w.kind = r.kind and w.state in ('scheduled', 'available') limit 600) waits
    ) counted
)
update jobs j
set state = 'scheduled', sent_at = now(),
    run_at = now() + make_interval(secs => 0.25 + random() * 0.05 * w.n)
from waiting w
where j.id = any ($1) and j.kind = w.kind and j.state = 'available' and j.attempt < j.max_attempts
returning j.id, j.priority, (extract(epoch from j.run_at) * 1000)::bigint as due_ms
