-- How long the oldest job that is due has waited, in seconds; 0 when none waits. One whose time is still to come is
-- older than none that is due, so that the least time of all says it.
select coalesce(greatest(0, extract(epoch from now() - min(run_at))), 0)::float8 as seconds
from jobs
where state in ('scheduled', 'available')
