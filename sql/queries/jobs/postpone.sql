-- Puts jobs off that were taken from the stream and could not be claimed, but may be later: their kind is full, or not
-- known here, or all is paused. The more of a kind wait, the longer: between a quarter of a second and half a
-- minute, drawn so that they do not all come back at once. One row for each: when, in milliseconds since 1970.
with waiting as (
    select kind, count(*) as n from jobs
    where state in ('scheduled', 'available') and kind in (select kind from jobs where id = any ($1))
    group by kind
)
update jobs j
set state = 'scheduled', sent_at = now(),
    run_at = now() + make_interval(secs => least(30, 0.25 + random() * 0.05 * w.n))
from waiting w
where j.id = any ($1) and j.kind = w.kind and j.state = 'available' and j.attempt < j.max_attempts
returning j.id, j.priority, (extract(epoch from j.run_at) * 1000)::bigint as due_ms
