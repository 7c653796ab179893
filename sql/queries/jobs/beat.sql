-- Says that this process makes progress.
insert into job_workers (id) values ($1)
on conflict (id) do update set seen_at = now()
