-- Why attempts of a job failed, in their order.
select attempt, error, at from job_errors where job_id = $1 order by attempt
