-- Keys under which articles were published, so that whoever asks again with one gets the first answer again. A row is
-- written by the statement that makes its article: one exists if and only if the other did. It holds what the first
-- answer said and the request does not say again; the article may have changed or gone since.

create table idempotency_keys (
    user_id      bigint not null constraint idempotency_keys_user references users on delete cascade,
    key          text not null constraint idempotency_keys_length check (length(key) between 1 and 255),
    -- Of what was to be published.
    fingerprint  bytea not null constraint idempotency_keys_fingerprint check (octet_length(fingerprint) = 32),
    article_id   bigint not null,
    slug         text not null,
    author_email text not null,
    author_name  text not null,
    author_bio   text not null,
    author_image text not null,
    created_at   timestamptz not null default now(),
    constraint idempotency_keys_pk primary key (user_id, key)
);
create index idempotency_keys_by_age on idempotency_keys (created_at);
