-- Joins what it has found for a thousand people and their webhooks, also on connections that are told to loop over indexes.
alter function webhooks_leave(bigint[]) set enable_hashjoin = on;
