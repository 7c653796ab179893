-- Forgets these deliveries with their attempts, but for those that were to be sent once more before an earlier
-- statement of the transaction locked them.
delete from webhook_deliveries d
where d.id = any ($1)
  and not exists (
      select from jobs j where j.id = d.job_id and j.state not in ('completed', 'discarded', 'cancelled')
  )
