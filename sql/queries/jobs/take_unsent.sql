-- Locks jobs that are to be moved to Redis, the most urgent and oldest first, past those that another relay holds, and
-- notes that they are there: to be committed once they are. To the stream, or to the schedule where their time is still to
-- come. Only those that this process knows ($2 kinds, $3 the newest version of each), and none while all is paused.
with unsent as (
    select j.id
    from jobs j
    join unnest($2::text[], $3::int[]) as known (kind, version) on known.kind = j.kind and j.version <= known.version
    where j.state in ('scheduled', 'available') and j.sent_at is null
      and not exists (select from job_control where paused_at is not null)
    order by j.priority, j.id
    limit $1
    for update of j skip locked
), taken as (
    update jobs j
    set sent_at = now()
    -- In the words of jobs/claim.
    where j.id = any (array(select id from unsent))
    returning j.id, j.kind, j.priority, j.traceparent, j.attempt = 0 as fresh,
              case when j.state = 'scheduled' then (extract(epoch from j.run_at) * 1000)::bigint end as due_ms
)
select * from taken order by priority, id
