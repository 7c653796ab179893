-- How many jobs are in each state that matters while they are in it.
select state, count(*) as n
from jobs
where state in ('scheduled', 'available', 'running', 'discarded')
group by state
