-- The restart ledger: which actor ended why, and how fast it was back. Outlives the processes.

create table actor_restarts (
    id               bigint generated always as identity constraint actor_restarts_pk primary key,
    node             text not null,
    path             text not null,
    exit_kind        text not null constraint actor_restarts_exit_kind check (exit_kind in ('panic', 'error', 'killed', 'normal')),
    message          text not null,
    incarnation      bigint not null,
    backoff_ms       bigint not null,
    budget_max       bigint not null,
    budget_period_s  bigint not null,
    budget_used      bigint not null,
    recovered_ms     bigint not null,
    at               timestamptz not null
);
create index actor_restarts_by_path on actor_restarts (path, id desc);
