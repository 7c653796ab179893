-- Jobs: written by the same statement as the fact that causes them, so that one exists if and only if
-- the other does. Redis only moves their ids; this table is what is true.
--
--   available ──▶ running ──▶ completed
--       ▲            │ ├────▶ scheduled (tried again at run_at) ──▶ running
--       └── rescue ──┘ └────▶ discarded (a dead letter)          any unfinished ──▶ cancelled

create table jobs (
    id           bigint generated always as identity constraint jobs_pk primary key,
    kind         text not null constraint jobs_kind_length check (length(kind) between 1 and 100),
    version      int not null default 1,
    args         jsonb not null constraint jobs_args_are_an_object check (jsonb_typeof(args) = 'object'),
    state        text not null default 'available',
    attempt      int not null default 0,
    max_attempts int not null default 5 constraint jobs_max_attempts check (max_attempts between 1 and 100),
    run_at       timestamptz not null default now(),
    -- When the relay moved it to the stream; null again when it has to be moved once more.
    sent_at      timestamptz,
    -- The process that runs it, by its boot id.
    worker       uuid,
    started_at   timestamptz,
    finished_at  timestamptz,
    traceparent  text constraint jobs_traceparent_length check (length(traceparent) <= 55),
    created_at   timestamptz not null default now(),
    constraint jobs_state check (state in ('scheduled', 'available', 'running', 'completed', 'discarded', 'cancelled')),
    constraint jobs_attempts check (attempt between 0 and max_attempts),
    constraint jobs_running_has_a_worker check ((state = 'running') = (worker is not null)),
    constraint jobs_finished_has_a_time check ((state in ('completed', 'discarded', 'cancelled')) = (finished_at is not null)),
    constraint jobs_running_has_begun check (state <> 'running' or (started_at is not null and attempt > 0))
);
create index jobs_unsent on jobs (id) where state = 'available' and sent_at is null;
create index jobs_scheduled on jobs (run_at) where state = 'scheduled';
create index jobs_sent on jobs (sent_at) where state = 'available' and sent_at is not null;
create index jobs_running on jobs (worker) where state = 'running';
create index jobs_unfinished_or_dead on jobs (state) where state in ('scheduled', 'available', 'running', 'discarded');

-- Why attempts failed, in words for operators.
create table job_errors (
    job_id  bigint not null constraint job_errors_job references jobs on delete cascade,
    attempt int not null,
    error   text not null constraint job_errors_length check (length(error) <= 4000),
    at      timestamptz not null default now(),
    constraint job_errors_pk primary key (job_id, attempt)
);

-- Processes that take jobs. One that has not been seen for a while is dead, and what it ran is rescued.
create table job_workers (
    id         uuid not null constraint job_workers_pk primary key,
    started_at timestamptz not null default now(),
    seen_at    timestamptz not null default now()
);

-- Wakes the relays. It carries no data, so a lost one costs only time.
create function jobs_wake() returns trigger language plpgsql as $$
begin
    perform pg_notify('callboard_jobs', '');
    return null;
end $$;
create trigger jobs_wake after insert on jobs for each statement execute function jobs_wake();
