-- Jobs get priorities, keys that make them unique while they wait, cancellation while they run, and a count of the
-- workers that died with them; workers say which kinds they know; the whole cluster can be paused.

alter table jobs
    add column priority smallint not null default 1 constraint jobs_priority check (priority between 0 and 2),
    add column unique_key text constraint jobs_unique_key_length check (length(unique_key) between 1 and 200),
    add column cancel_requested_at timestamptz,
    add column deaths int not null default 0 constraint jobs_deaths check (deaths >= 0),
    add constraint jobs_cancel_is_asked_of_running check (cancel_requested_at is null or state in ('running', 'completed', 'cancelled', 'discarded'));

-- One that waits stands for all that would do the same; one that runs may have looked already, and does not.
create unique index jobs_one_waiting_for_a_key on jobs (kind, unique_key)
    where unique_key is not null and state in ('scheduled', 'available');

drop index jobs_sent;
create index jobs_sent on jobs (sent_at) where state in ('scheduled', 'available') and sent_at is not null;
drop index jobs_unsent;
create index jobs_unsent on jobs (priority, id) where state in ('scheduled', 'available') and sent_at is null;
create index jobs_open_of_kind on jobs (kind, state) where state in ('scheduled', 'available', 'running');
create index jobs_cancelling on jobs (worker) where cancel_requested_at is not null and state = 'running';
create index jobs_finished on jobs (finished_at) where state in ('completed', 'cancelled');

-- What this process does, as `kind:newest version`.
alter table job_workers add column kinds text[] not null default '{}', add column versions int[] not null default '{}';

-- One row: whether jobs are taken at all.
create table job_control (
    single    boolean not null default true constraint job_control_pk primary key constraint job_control_is_single check (single),
    paused_at timestamptz
);
insert into job_control default values;
