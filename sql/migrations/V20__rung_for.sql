-- Who leaves jobs wakes the relays by a notice within the transaction, unless the connection says that its owner does so
-- after the commit: transactions that notify are committed one after the other, each with a write of its own to the disk.
-- For each row, so that a statement that leaves none notifies nobody; equal notices of a transaction become one.
drop trigger jobs_wake on jobs;
create trigger jobs_wake after insert on jobs for each row
    when (current_setting('callboard.notices', true) is distinct from 'off')
    execute function jobs_wake();
