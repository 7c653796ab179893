-- Says that this process makes progress, and what it knows ($2 kinds, $3 the newest version of each). One row:
-- whether jobs are paused, and the jobs of this process that are to be called off.
with beat as (
    insert into job_workers (id, kinds, versions) values ($1, $2, $3)
    on conflict (id) do update set seen_at = now(), kinds = excluded.kinds, versions = excluded.versions
)
select (select paused_at is not null from job_control) as paused,
       array(select id from jobs where worker = $1 and state = 'running' and cancel_requested_at is not null) as cancelled
