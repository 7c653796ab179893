-- Wakes the relays of all processes. A transaction of its own that changes nothing: it waits for no disk.
select pg_notify('callboard_jobs', '')
