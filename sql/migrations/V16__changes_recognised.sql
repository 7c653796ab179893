-- The last changes of an article by their ids, newest first: one that is asked for again, because its answer was lost
-- with its actor, is recognised and not made twice. Whoever asks again does so within seconds.

alter table articles
    add column changes uuid[] not null default '{}' constraint articles_changes_few check (cardinality(changes) <= 8);
