-- Locks jobs that are to be moved to the stream, oldest first, past those that another relay holds.
select id, kind, traceparent
from jobs
where state = 'available' and sent_at is null
order by id
limit $1
for update skip locked
