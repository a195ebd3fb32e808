#!/usr/bin/env bash
# Load vendors with `meltano run`, for cron: one run at a time, a log, and a mail when something failed.
#
#     7 * * * * trunkline /opt/trunkline/orchestrate/schedulers/cron.sh evolux bspk
#
# Each argument is a job of meltano.yml. A vendor that fails stops no other; the exit code is that of the last failure.
# TRUNKLINE_PROJECT      folder of the Meltano project; /opt/trunkline if not set
# TRUNKLINE_ENVIRONMENT  environment of Meltano; prod if not set
# TRUNKLINE_LOGS         folder of the logs, one a vendor, which logrotate may rotate; output/logs of the project if not set
# TRUNKLINE_MAIL         address of the mail; none if not set. MAILER is the command that sends it, `mail` if not set
set -u
if [ $# -eq 0 ]; then
    echo "no vendor is named: nothing done" >&2
    exit 2
fi
cd "${TRUNKLINE_PROJECT:=/opt/trunkline}" || exit 2
environment=${TRUNKLINE_ENVIRONMENT:-prod} logs=${TRUNKLINE_LOGS:-output/logs} code=0
umask 077
mkdir -p "$logs" && logs=$(cd "$logs" && pwd) || exit 2

# The lock ends with the process, also when it is killed. 75: try again later (EX_TEMPFAIL).
exec 9>"$logs/lock" || exit 2
if ! flock --nonblock 9; then
    echo "a run is still going: nothing done" >&2
    exit 75
fi

for vendor in "$@"; do
    log=$logs/$vendor.log
    from=$(($(stat --format=%s "$log" 2>/dev/null || echo 0) + 1))
    .venv/bin/meltano "--environment=$environment" run --no-install "$vendor" >>"$log" 2>&1
    failed=$?
    if [ "$failed" -ne 0 ]; then
        code=$failed
        echo "$vendor failed with exit code $failed: see $log" >&2
        if [ -n "${TRUNKLINE_MAIL:-}" ]; then
            tail --bytes=+"$from" "$log" | tail --lines=30 |
                "${MAILER:-mail}" -s "Trunkline: $vendor failed with exit code $failed" "$TRUNKLINE_MAIL"
        fi
    fi
done
exit "$code"
