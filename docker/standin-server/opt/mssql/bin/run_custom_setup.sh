#!/bin/sh
# What sets up a new instance runs once.
done=/var/opt/mssql/.setup-done
[ -e "$done" ] && exit 0
for script in /mssql-server-setup-scripts.d/*.sh; do
    [ -e "$script" ] || continue
    /bin/sh "$script" || exit 1
done
: > "$done"
