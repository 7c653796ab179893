-- Adds the changes that were noted to the totals. A change counts once, in one place or the other, for everybody who
-- looks: it goes from the one and comes to the other in one statement, and of two that add up at the same time the
-- second finds it gone. Of authors who have left nothing is kept. One row: how many changes there were.
with noted as (
    delete from article_changes returning author_id, change
), of_authors as (
    insert into author_totals as t (author_id, articles)
    select n.author_id, sum(n.change)
    from noted n
    join users u on u.id = n.author_id
    group by n.author_id
    -- In one order, for whoever else adds up.
    order by n.author_id
    on conflict (author_id) do update set articles = t.articles + excluded.articles
), of_all as (
    update article_totals
    set articles = articles + (select sum(change) from noted)
    where exists (select from noted)
)
select count(*) as n from noted
