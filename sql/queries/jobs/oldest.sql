-- How long the oldest job that is due has waited, in seconds; 0 when none waits.
select coalesce(greatest(0, extract(epoch from now() - min(run_at))), 0)::float8 as seconds
from jobs
where state = 'available' or (state = 'scheduled' and run_at < now())
