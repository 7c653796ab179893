-- Forgets a process that ends in order and holds no job any more.
delete from job_workers w
where w.id = $1 and not exists (select from jobs j where j.worker = w.id and j.state = 'running')
