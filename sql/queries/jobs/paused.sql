-- Since when no process takes jobs; null while they do. One row.
select paused_at from job_control
