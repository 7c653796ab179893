-- How many processes have taken jobs within the last $1 seconds.
select count(*) as n from job_workers where seen_at > now() - make_interval(secs => $1)
