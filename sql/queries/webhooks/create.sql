-- Makes a webhook, unless its owner has $5 already: exact only while the owner is locked by an earlier statement
-- of the transaction. One row when it was made.
insert into webhooks (user_id, url, kinds, secret)
select $1::bigint, $2::text, $3::text[], $4::bytea
where (select count(*) from webhooks where user_id = $1) < $5::bigint
returning id, url, kinds, true as enabled, created_at
