#!/bin/sh
# The order of what SQL Server's images do since 2022 CU18, and that no signal is passed on.
/opt/mssql/bin/permissions_check.sh
"$@" &
engine=$!
/opt/mssql/bin/run_custom_setup.sh || exit 1
wait "$engine"
