# SPDX-License-Identifier: Apache-2.0
# Adit: scripts
# How the scripts speak: coloured on a terminal, plain anywhere else. Sourced, never run.

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
    bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' yellow=$'\e[33m' cyan=$'\e[36m' plain=$'\e[0m'
    on_terminal=1
else
    bold='' dim='' red='' green='' yellow='' cyan='' plain=''
    on_terminal=0
fi

say() { printf '%s\n' "$*"; }
heading() { printf '\n%s%s%s\n' "$bold$cyan" "$*" "$plain"; }
detail() { printf '  %s%s%s\n' "$dim" "$*" "$plain"; }
good() { printf '  %s✓%s %s\n' "$green" "$plain" "$*"; }
caution() { printf '  %s!%s %s\n' "$yellow" "$plain" "$*"; }
bad() { printf '  %s✗%s %s\n' "$red" "$plain" "$*" >&2; }
die() {
    printf '%serror:%s %s\n' "$red" "$plain" "$*" >&2
    exit 1
}

# seconds_since START: with one decimal; START is from `now`
now() { date +%s%3N; }
seconds_since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.1f", (b - a) / 1000 }'; }

# usage: prints the comment block at the top of the running script (its --help)
usage() { awk 'NR > 1 && !/^#/ { exit } NR > 3 { sub(/^# ?/, ""); print }' "$0"; }
