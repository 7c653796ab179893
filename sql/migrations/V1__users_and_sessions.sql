-- People, and the sessions in which they are signed in.

create table users (
    id            bigint generated always as identity constraint users_pk primary key,
    email         text not null constraint users_email_length check (length(email) between 3 and 254),
    name          text not null constraint users_name_length check (length(name) between 1 and 100),
    bio           text not null default '' constraint users_bio_length check (length(bio) <= 2000),
    image         text not null default '' constraint users_image_length check (length(image) <= 2000),
    password_hash text not null,
    created_at    timestamptz not null default now(),
    updated_at    timestamptz not null default now()
);

-- Two spellings of one address that differ in case are one address.
create unique index users_email_unique on users (lower(email));

-- A session is open until it is ended or expires; whether it is, is asked for every authenticated request.
create table sessions (
    id         uuid not null constraint sessions_pk primary key,
    user_id    bigint not null constraint sessions_user references users on delete cascade,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    ended_at   timestamptz,
    constraint sessions_expire_after_creation check (expires_at > created_at),
    constraint sessions_end_after_creation check (ended_at >= created_at)
);
create index sessions_of_user on sessions (user_id) where ended_at is null;

-- Refresh tokens are kept as hashes; a spent one that comes back ends its session.
create table refresh_tokens (
    hash       bytea not null constraint refresh_tokens_pk primary key
               constraint refresh_tokens_hash_is_sha256 check (octet_length(hash) = 32),
    session_id uuid not null constraint refresh_tokens_session references sessions on delete cascade,
    created_at timestamptz not null default now(),
    spent_at   timestamptz
);
create index refresh_tokens_of_session on refresh_tokens (session_id);

-- Who reads whom.
create table follows (
    follower_id bigint not null constraint follows_follower references users on delete cascade,
    followed_id bigint not null constraint follows_followed references users on delete cascade,
    created_at  timestamptz not null default now(),
    constraint follows_pk primary key (follower_id, followed_id),
    constraint follows_not_oneself check (follower_id <> followed_id)
);
create index follows_by_followed on follows (followed_id);
