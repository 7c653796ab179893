-- Has all processes take no more jobs ($1), or take them again. One row: whether that changed anything.
with before as (
    select paused_at is not null as paused from job_control for update
), set_now as (
    update job_control set paused_at = case when $1 then coalesce(paused_at, now()) end
), woken as (
    select pg_notify('callboard_jobs', '')
)
select paused <> $1 as changed from before, woken
