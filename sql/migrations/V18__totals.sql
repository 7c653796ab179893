-- How many articles there are, in all and of each author, so that `total` of a list costs the same however many there
-- are. Triggers write down each change in the transaction that makes it, so that a list counts every article that is
-- there for it, and no other; from time to time the changes are added to what was counted before. Changes are only
-- added and taken away, never changed: nobody who publishes waits for anybody else who does.

create table article_changes (
    author_id bigint not null,
    change    bigint not null constraint article_changes_not_nothing check (change <> 0)
);

create table article_totals (
    only_one boolean not null default true constraint article_totals_pk primary key
             constraint article_totals_only_one check (only_one),
    articles bigint not null
);

create table author_totals (
    author_id bigint not null constraint author_totals_pk primary key
              constraint author_totals_author references users on delete cascade,
    articles  bigint not null
);

create function note_article_changes() returns trigger language plpgsql as $$
begin
    insert into article_changes (author_id, change)
    select author_id, case tg_op when 'INSERT' then count(*) else -count(*) end
    from changed
    group by author_id;
    return null;
end
$$;

create trigger articles_noted_in after insert on articles
    referencing new table as changed for each statement execute function note_article_changes();
create trigger articles_noted_out after delete on articles
    referencing old table as changed for each statement execute function note_article_changes();

-- Creating the triggers locked the table: nobody publishes before this is committed.
insert into article_totals (articles) select count(*) from articles;
insert into author_totals (author_id, articles) select author_id, count(*) from articles group by author_id;
