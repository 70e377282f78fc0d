#!/bin/sh
# Runs in the virtual machine once chronyd is up, and reports on the serial console in lines
# "vm SECTION TEXT". A section named ...-status holds the exit status of a command.

exec </dev/null >/dev/ttyS0 2>&1

# Prints what a command prints as lines of a section.
show() {
    section=$1
    shift
    "$@" 2>&1 | while IFS= read -r line; do
        printf 'vm %s %s\n' "$section" "$line"
    done
}

# Runs a command and reports its exit status.
try() {
    section=$1
    shift
    "$@" >/dev/null 2>&1
    printf 'vm %s-status %s\n' "$section" "$?"
}

# What the daemon logged since a time.
since() {
    journalctl --boot --unit chronyd --output cat --no-pager --since "$1"
}

state() {
    show "$1-unit" systemctl show chronyd --property ActiveState,SubState,Result,Type,NRestarts
    show "$1-time" date +%s.%N
    show "$1-kernel" adjtimex --print
    show "$1-tracking" chronyc -c -n tracking
    show "$1-sources" chronyc -c -n sources
    show "$1-log" since "$2"
}

# 1. Booted with a clock that is 1000 s wrong: the daemon steps it.
start=@0
try boot-active systemctl is-active chronyd
try boot-wait chronyc waitsync 120 0.1 0 1
# A few updates later the error estimates have settled and the frequency is known.
sleep 6
show boot-limits grep -E '^(CapBnd|NoNewPrivs|Seccomp):' \
    "/proc/$(systemctl show chronyd --property MainPID --value)/status"
state boot $start

# 2. Started again with a clock that is 50 ms wrong: the daemon slews it, from the frequency it
# left in the drift file.
try second-stop systemctl stop chronyd
show second-drift cat /var/lib/chrony/drift
now=$(date +%s%N)
later=$((now + 50000000))
start=@$((later / 1000000000))
date --set "@$((later / 1000000000)).$(printf %09d $((later % 1000000000)))" >/dev/null
try second-start systemctl start chronyd
try second-wait chronyc waitsync 120 0.01 0 1
state second $start

# 3. Restarted, as an upgrade does.
start=@$(date +%s)
try third-restart systemctl restart chronyd
try third-wait chronyc waitsync 120 0.1 0 1
state third $start

# 4. Somebody else sets the clock: the daemon notices, asks its source again and slews it back.
start=@$(date +%s)
date --set '+3 seconds' >/dev/null
for _ in $(seq 60); do
    sleep 1
    since "$start" | grep -q '^Selected source' && break
done
show step-log since "$start"
show step-tracking chronyc -c -n tracking
show failed systemctl --failed --no-legend --plain
echo 'vm done yes'
sync
poweroff --force
