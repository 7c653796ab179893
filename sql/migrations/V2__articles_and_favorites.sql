-- Articles and who likes them. The favorites count is kept in the article's row, by the same statements
-- that add and remove favorites.

create table articles (
    id              bigint generated always as identity constraint articles_pk primary key,
    author_id       bigint not null constraint articles_author references users on delete cascade,
    slug            text not null constraint articles_slug_unique unique
                    constraint articles_slug_shape check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and length(slug) <= 100),
    title           text not null constraint articles_title_length check (length(title) between 1 and 255),
    description     text not null default '' constraint articles_description_length check (length(description) <= 1000),
    body            text not null constraint articles_body_not_empty check (body <> ''),
    favorites_count bigint not null default 0 constraint articles_favorites_not_negative check (favorites_count >= 0),
    version         bigint not null default 1,
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now(),
    -- The headline weighs more than the text. Only the first part of a long body is indexed: a tsvector is limited to 1 MB.
    search          tsvector not null generated always as (
                        setweight(to_tsvector('english', title), 'A')
                        || setweight(to_tsvector('english', description), 'B')
                        || to_tsvector('english', left(body, 100000))
                    ) stored
);
create index articles_by_author on articles (author_id, id desc);
create index articles_by_words on articles using gin (search);

create table favorites (
    article_id bigint not null constraint favorites_article references articles on delete cascade,
    user_id    bigint not null constraint favorites_user references users on delete cascade,
    created_at timestamptz not null default now(),
    constraint favorites_pk primary key (article_id, user_id)
);
create index favorites_by_user on favorites (user_id, article_id desc);
