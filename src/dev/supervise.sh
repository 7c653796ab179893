#!/bin/sh
# Runs one server for as long as its starter lives.
#
#   supervise.sh SIGNAL GRACE REMOVE WHEN PROGRAM ARGUMENT...
#
# The starter holds the other end of this script's standard input and never writes to it. End-of-file
# therefore means that the starter wants the server gone or is gone itself, even by SIGKILL: the server
# is sent SIGNAL, and SIGKILL when it has not ended GRACE seconds later. At the end the directory REMOVE
# goes too: WHEN says whether always or only after a failure.

signal=$1 grace=$2 remove=$3 when=$4
shift 4
unset SUPERVISE

# The server's directories are nobody else's business.
umask 077
# Whoever signals all processes at once, as service managers do, must not take away the one that cleans up.
# Servers that care for these signals set handlers of their own.
trap '' HUP INT TERM

exec 3<&0 </dev/null
"$@" 3<&- &
server=$!

{
    read -r _ <&3
    tenths=$((grace * 10))
    # Sent again and again, since a server that has only just begun may not have been listening.
    while [ "$tenths" -gt 0 ] && kill -s "$signal" "$server"; do
        sleep 0.1
        tenths=$((tenths - 1))
    done
    kill -s KILL "$server"
} >/dev/null 2>&1 &
watcher=$!
exec 3<&-

wait "$server"
status=$?
kill -s KILL "$watcher"
wait "$watcher" 2>/dev/null
if [ "$when" = always ] || [ "$status" -ne 0 ]; then
    # The directory itself may be in one that is the starter's: then it stays, empty.
    rm -rf -- "$remove" 2>/dev/null
fi
exit "$status"
