-- How many jobs were put into Redis more than $1 seconds ago and still wait: so many it has to hold at least.
select count(*) as n
from jobs
where state in ('scheduled', 'available') and sent_at < now() - make_interval(secs => $1) and attempt < max_attempts
