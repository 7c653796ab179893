-- What is asked every second stays cheap while a hundred thousand jobs wait: each of these is answered by an index
-- alone, and none looks at jobs that are finished.

-- How long the oldest one has waited is one look at its end.
drop index jobs_scheduled;
create index jobs_due on jobs (run_at) where state in ('scheduled', 'available');

-- Who is out of attempts waits for nobody to take it, and is not missed in Redis.
drop index jobs_sent;
create index jobs_sent on jobs (sent_at)
    where state in ('scheduled', 'available') and sent_at is not null and attempt < max_attempts;
