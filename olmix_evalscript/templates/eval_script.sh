#!/bin/bash
#@begin header
# Evaluate the 2 variants of swarm example (group 58362402).
#@end header

set -uo pipefail

#@begin settings
GROUP_ID='58362402'
DASHBOARD='olmix-58362402'
CLUSTER='aus'
MODEL_BACKEND='olmo_core'
ROOT='s3://ai2-llm/checkpoints/kylel'
TASKS=(
  'arc_easy:rc::olmes:full'
)
HF_TASKS=()
EXTRA_ARGS=()
#@end settings

JOBS=8 # lookups at the same time
TAB=$'\t'
RECORD="${BASH_SOURCE[0]:-$DASHBOARD}.submitted" # a line for each successful submission
WEKA_MOUNT="${WEKA_MOUNT:-/weka}"

usage() {
  cat <<EOF
Submit the evaluation of each variant's latest complete checkpoint to $DASHBOARD.

Usage: bash ${BASH_SOURCE[0]:-SCRIPT} [OPTIONS] [-- ARGUMENTS FOR olmo-cookbook-eval]

  --list         show each variant's step and checkpoint, launch nothing
  --dry-run      pass --dry-run on to olmo-cookbook-eval
  --only LIST    these variants alone, such as 0,3,5-9
  --step N       this step exactly, not the latest
  --same-step    refuse to submit anything if the steps differ
  --resume       skip what an earlier run of this script submitted
  --help         show this text

Exit status: 0 all submitted (or found), 1 some not, 2 wrong usage, 130 interrupted.
/weka is read where it is mounted (WEKA_MOUNT, or else /weka), or with aws by means of
WEKA_ENDPOINT_URL and WEKA_PROFILE.
EOF
}

# --- messages ---------------------------------------------------------------------------

RED='' PLAIN=''
if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then
  RED=$'\033[31m' PLAIN=$'\033[0m'
fi

say() { printf '%s\n' "$*"; }
warn() { printf '%s%s%s\n' "$RED" "$*" "$PLAIN" >&2; }

fail() {
  warn "$*"
  exit 1
}

refuse() {
  warn "$*; try --help"
  exit 2
}

# Ascending numbers as people write them: 0, 3, 5-9
ranges() {
  printf '%s\n' "$@" | awk '
    function put() { printf "%s%s", sep, (first == last ? first : first "-" last); sep = ", " }
    NR > 1 && $1 == last + 1 { last = $1; next }
    NR > 1 { put() }
    { first = last = $1 }
    END { put() }'
}

# --- options ----------------------------------------------------------------------------

DRY_RUN='' LIST='' ONLY='' STEP='' SAME_STEP='' RESUME=''

parse_options() {
  while [ $# -gt 0 ]; do
    case "$1" in
      --list) LIST=1 ;;
      --dry-run) DRY_RUN=1 ;;
      --same-step) SAME_STEP=1 ;;
      --resume) RESUME=1 ;;
      --only=*) parse_only "${1#*=}" ;;
      --step=*) parse_step "${1#*=}" ;;
      --only | --step)
        [ $# -gt 1 ] || refuse "$1 needs a value"
        "parse_${1#--}" "$2"
        shift
        ;;
      -h | --help)
        usage
        exit 0
        ;;
      --)
        shift
        EXTRA_ARGS+=("$@")
        break
        ;;
      *) refuse "unknown option $1" ;;
    esac
    shift
  done
}

parse_step() {
  [[ $1 =~ ^[0-9]{1,9}$ ]] || refuse "--step needs a number, not '$1'"
  STEP=$((10#$1))
}

parse_only() {
  local part number last
  [[ $1 =~ ^[0-9]{1,6}(-[0-9]{1,6})?(,[0-9]{1,6}(-[0-9]{1,6})?)*$ ]] ||
    refuse "--only needs numbers such as 0,3,5-9, not '$1'"
  for part in ${1//,/ }; do
    number=$((10#${part%-*})) last=$((10#${part#*-}))
    [ "$number" -le "$last" ] || refuse "--only: $part is no range"
    while [ "$number" -le "$last" ]; do
      case " ${NUMBERS[*]} " in *" $number "*) ;; *) refuse "there is no variant $number" ;; esac
      ONLY="$ONLY $number "
      number=$((number + 1))
    done
  done
}

# --- variants ---------------------------------------------------------------------------

NUMBERS=() DIRECTORIES=()
STEPS=() # of each variant: a number, or the reason why there is none

variant() { NUMBERS+=("$1") DIRECTORIES+=("$2"); }

choose() {
  local i numbers=() directories=()
  for i in "${!NUMBERS[@]}"; do
    case "$ONLY" in
      '' | *" ${NUMBERS[i]} "*) numbers+=("${NUMBERS[i]}") directories+=("${DIRECTORIES[i]}") ;;
    esac
  done
  NUMBERS=("${numbers[@]}") DIRECTORIES=("${directories[@]}")
}

# --- child processes --------------------------------------------------------------------

CHILDREN=''

# Run a command in a process group of its own, so that it can be stopped with all it started.
start() {
  set -m
  "$@" </dev/null &
  CHILDREN="$CHILDREN $!"
  set +m
}

# Wait for all that was started; returns the last one's status.
finish() {
  local pid status=0
  for pid in $CHILDREN; do
    status=0
    wait "$pid" || status=$?
    if kill -0 "$pid" 2>/dev/null; then
      warn "It wants to ask something at the terminal: run the command by hand once"
      stop
    fi
  done
  CHILDREN=''
  return "$status"
}

stop() {
  local pid _
  for pid in $CHILDREN; do
    kill -TERM -- "-$pid" 2>/dev/null
    kill -CONT -- "-$pid" 2>/dev/null
    for _ in 1 2 3 4 5 6 7 8 9 10; do
      kill -0 -- "-$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL -- "-$pid" 2>/dev/null
  done
  CHILDREN=''
}

# --- storage ----------------------------------------------------------------------------

has() { command -v "$1" >/dev/null 2>&1; }

need_storage() {
  case " ${DIRECTORIES[*]}" in *' s3://'*)
    has aws || fail "aws is not here; install it to read s3:// checkpoints" ;;
  esac
  case " ${DIRECTORIES[*]}" in *' gs://'*)
    has gcloud || has gsutil || fail "gcloud is not here; install it to read gs:// checkpoints" ;;
  esac
  case " ${DIRECTORIES[*]}" in *' /weka/'*)
    if [ ! -d "$WEKA_MOUNT" ]; then
      [ -n "${WEKA_ENDPOINT_URL:-}" ] && [ -n "${WEKA_PROFILE:-}" ] ||
        fail "cannot read /weka: run this where it is mounted, or set WEKA_ENDPOINT_URL and WEKA_PROFILE"
      has aws || fail "aws is not here; install it to read /weka from outside"
    fi
    ;;
  esac
}

# All files whose path begins with $1, one a line.
list_files() {
  case "$1" in
    s3://*) list_s3 s3:// "${1#s3://}" ;;
    gs://*) list_gs "$1" ;;
    *)
      if [ -d "$WEKA_MOUNT" ]; then
        list_folder "${1#/weka/}"
      else
        list_s3 /weka/ "${1#/weka/}" --endpoint-url "$WEKA_ENDPOINT_URL" --profile "$WEKA_PROFILE"
      fi
      ;;
  esac
}

list_s3() { # what to put before the bucket, bucket/prefix, options for aws
  local scheme="$1" path="$2"
  shift 2
  aws s3 ls --recursive "s3://$path" --cli-connect-timeout 20 "$@" |
    awk -v bucket="$scheme${path%%/*}/" '{ sub(/^[^ ]+ +[^ ]+ +[0-9]+ /, bucket); print }'
}

list_gs() {
  if has gcloud; then gcloud storage ls "$1**"; else gsutil ls "$1**"; fi
}

list_folder() {
  local file
  for file in "$WEKA_MOUNT/$1"*{/,/*/}{.metadata.json,config.json}; do
    [ ! -e "$file" ] || printf '/weka/%s\n' "${file#"$WEKA_MOUNT/"}"
  done
}

# Of files, one a line, the complete checkpoints: directory, step and kind. A trainer writes
# .metadata.json late and removes it early; a conversion is complete with its config.json.
checkpoints() {
  awk -v OFS="$TAB" '
    function put(kind) { print substr($0, 1, RSTART - 1), substr($0, RSTART + 5) + 0, kind }
    match($0, /\/step[0-9]+\/\.metadata\.json$/) { put("raw"); next }
    match($0, /\/step[0-9]+-hf\/config\.json$/) { put("hf") }'
}

# Look up one prefix; what is found goes to $2.found, why nothing could be to $2.error.
lookup() {
  local attempt status
  for attempt in 1 2 3; do
    status=0
    list_files "$1" 2>"$2.error" | checkpoints >"$2.found" || status=$?
    # Status 1 alone means that nothing is there; gcloud and gsutil say so, aws is silent.
    if [ "$status" -eq 1 ] && ! grep -qv 'matched no objects' "$2.error"; then status=0; fi
    if [ "$status" -eq 0 ]; then
      rm -f "$2.error"
      return
    fi
    [ "$attempt" -eq 3 ] || sleep "$attempt"
  done
  printf 'failed\t%s\n' "$1" >"$2.found"
}

# What to look up: a few variants one by one, many by one listing of all that share a name.
prefixes() {
  local directory
  for directory in "${DIRECTORIES[@]}"; do
    case "${#DIRECTORIES[@]} $directory" in
      [1-8]' '*) printf '%s/\n' "$directory" ;;
      *-"$GROUP_ID"-[0-9]*) printf '%s-\n' "${directory%-*}" ;;
      *) printf '%s/\n' "$directory" ;;
    esac
  done | sort -u
}

find_steps() {
  local prefix step count=0 kind=raw
  [ "$MODEL_BACKEND" = olmo_core ] || kind=hf
  while IFS= read -r prefix; do
    start lookup "$prefix" "$WORK/$count"
    count=$((count + 1))
    [ $((count % JOBS)) -ne 0 ] || finish
  done < <(prefixes)
  finish
  while IFS= read -r step; do
    STEPS+=("$step")
  done < <(
    printf '%s\n' "${DIRECTORIES[@]}" | cat "$WORK"/*.found - |
      awk -F "$TAB" -v kind="$kind" -v wanted="$STEP" '
        NF == 3 && $2 > 0 && (wanted == "" || $2 == wanted) {
          if ($2 > latest[$3, $1] + 0) latest[$3, $1] = $2
        }
        NF == 2 { failed[++failures] = $2 }
        NF == 1 {
          step = latest[kind, $1] + 0 ? latest[kind, $1] : "none"
          if (kind == "hf" && latest["raw", $1] > latest["hf", $1] + 0) step = "raw " latest["raw", $1]
          for (i = 1; i <= failures; i++) if (index($1 "/", failed[i]) == 1) step = "unknown"
          print step
        }'
  )
}

# --- what was found ---------------------------------------------------------------------

checkpoint() { # index of a variant
  local suffix=-hf
  [ "$MODEL_BACKEND" != olmo_core ] || suffix=''
  printf '%s/step%s%s' "${DIRECTORIES[$1]}" "${STEPS[$1]}" "$suffix"
}

is_ready() { [[ ${STEPS[$1]} =~ ^[0-9]+$ ]]; }

# The numbers of the variants whose step is as the pattern $1 says.
with_step() {
  local i numbers=()
  for i in "${!STEPS[@]}"; do
    [[ ! ${STEPS[i]} =~ ^$1$ ]] || numbers+=("${NUMBERS[i]}")
  done
  [ ${#numbers[@]} -eq 0 ] || ranges "${numbers[@]}"
}

show_table() {
  local i width=8 name where
  for name in "${DIRECTORIES[@]##*/}"; do
    [ ${#name} -le "$width" ] || width=${#name}
  done
  printf "%-8s %-${width}s %-8s %s\n" variant 'run name' step checkpoint
  for i in "${!NUMBERS[@]}"; do
    where="-"
    ! is_ready "$i" || where=$(checkpoint "$i")
    printf "%-8s %-${width}s %-8s %s\n" "${NUMBERS[i]}" "${DIRECTORIES[i]##*/}" "${STEPS[i]}" "$where"
  done
}

show_findings() {
  local file message shown='' i most step ready=0
  for file in "$WORK"/*.error; do
    [ -e "$file" ] || continue
    message=$(cat "$file")
    case "$shown" in *"${message:=no message}"*) continue ;; esac
    shown="$shown$message"
    warn "A lookup failed: $message"
  done
  for i in "${!STEPS[@]}"; do
    ! is_ready "$i" || ready=$((ready + 1))
  done
  most=$(printf '%s\n' "${STEPS[@]}" | grep '^[0-9]*$' | sort -n | uniq -c | sort -k1,1n -k2,2n |
    tail -n 1 | awk '{ print $2 }')
  say "$ready of ${#NUMBERS[@]} variants have a checkpoint${STEP:+ of step $STEP}${most:+, most of them at step $most}" >&2
  tell 'No complete checkpoint: variant' none
  tell 'Could not be looked up: variant' unknown
  tell 'Not converted to Hugging Face format: variant' 'raw [0-9]+' && show_conversion
  for step in $(printf '%s\n' "${STEPS[@]}" | grep '^[0-9]*$' | sort -nu); do
    [ "$step" = "$most" ] || tell "At step $step, unlike most: variant" "$step"
  done
  [ "$ready" -gt 0 ] || fail "There is nothing to submit"
  if [ -n "$SAME_STEP" ] && [ "$(printf '%s\n' "${STEPS[@]}" | grep '^[0-9]*$' | sort -u | wc -l)" -gt 1 ]; then
    fail "Nothing is submitted: the steps differ, and --same-step was asked for"
  fi
}

tell() { # text, pattern of the steps it is about
  local numbers
  numbers=$(with_step "$2")
  [ -n "$numbers" ] && warn "$1 $numbers"
}

# How to convert the first checkpoint that needs it; olmo-cookbook converts folders alone.
show_conversion() {
  local i path
  for i in "${!STEPS[@]}"; do
    case "${STEPS[i]}" in raw*)
      path="${DIRECTORIES[i]}/step${STEPS[i]#raw }"
      case "$path" in
        /weka/*) warn "  olmo-cookbook-eval convert ${path#/weka} -t olmo-core-v2 --use-beaker" ;;
        *)
          warn "  copy $path to a folder, then"
          warn "  olmo-cookbook-eval convert FOLDER/step${STEPS[i]#raw } -t olmo-core-v2"
          warn "  and copy FOLDER/step${STEPS[i]#raw }-hf to $path-hf"
          ;;
      esac
      return
      ;;
    esac
  done
}

# --- submission -------------------------------------------------------------------------

SUBMITTED=() FAILED=()

tasks_key() { printf '%s\n' "$@" | sort | cksum | tr ' ' -; }

submit() { # index of a variant
  local path key="$DASHBOARD$TAB"
  path=$(checkpoint "$1")
  if [ -f "$RECORD" ] && grep -F "$key${DIRECTORIES[$1]}/step" "$RECORD" | grep -qvF "$TAB$path$TAB"; then
    warn "Variant ${NUMBERS[$1]}: another step is on dashboard $DASHBOARD already; a fit takes either"
  fi
  if [ ${#TASKS[@]} -gt 0 ]; then
    evaluate "$path" "$MODEL_BACKEND" "${TASKS[@]}" || return
  fi
  if [ ${#HF_TASKS[@]} -gt 0 ]; then
    evaluate "$path" hf "${HF_TASKS[@]}" || return
  fi
}

evaluate() { # checkpoint, backend, tasks
  local path="$1" backend="$2" line task command
  shift 2
  line="$DASHBOARD$TAB$path$TAB$(tasks_key "$@")"
  if [ -n "$RESUME" ] && [ -f "$RECORD" ] && grep -qxF "$line" "$RECORD"; then
    say "# submitted before: $path ($# tasks)"
    return
  fi
  command=(olmo-cookbook-eval evaluate "$path" --dashboard "$DASHBOARD" --cluster "$CLUSTER"
    --model-backend "$backend" ${DRY_RUN:+--dry-run} ${EXTRA_ARGS[@]+"${EXTRA_ARGS[@]}"})
  say "+$(printf ' %q' "${command[@]}") --tasks ... ($# tasks)"
  for task in "$@"; do
    command+=(--tasks "$task")
  done
  start "${command[@]}"
  finish || return
  [ -n "$DRY_RUN" ] || printf '%s\n' "$line" >>"$RECORD"
}

summary() {
  local left=$((${#NUMBERS[@]} - ${#SUBMITTED[@]})) done=Submitted
  [ -z "$DRY_RUN" ] || done='Tried without submitting'
  say
  say "$done: ${#SUBMITTED[@]} of ${#NUMBERS[@]} variants, dashboard $DASHBOARD"
  [ ${#FAILED[@]} -eq 0 ] || warn "Failed: variant $(ranges "${FAILED[@]}")"
  [ "$left" -eq 0 ] || say "For the other $left, run it again with --resume when the cause is mended"
  say "Results: s3://ai2-llm/evaluation/$DASHBOARD/, and once they are in"
  say "  olmix fit fit -g $GROUP_ID --dashboard $DASHBOARD --pull-from-dashboard"
}

interrupted() {
  trap '' INT TERM HUP
  stop
  warn "Interrupted"
  summary
  exit "$1"
}

#@begin variants
variants() {
  variant 0 "$ROOT/example-58362402-0000"
  variant 1 "$ROOT/example-58362402-0001"
}
#@end variants

main() {
  local i
  variants
  parse_options "$@"
  choose
  for i in ${EXTRA_ARGS[@]+"${EXTRA_ARGS[@]}"}; do
    case "$i" in -r | --dry-run) DRY_RUN=1 ;; esac
  done
  [ -n "$LIST" ] || has olmo-cookbook-eval ||
    fail "olmo-cookbook-eval is not here; run this in the olmo-cookbook environment"
  need_storage

  WORK=$(mktemp -d) || fail "cannot make a temporary folder; set TMPDIR"
  trap 'rm -rf "$WORK"' EXIT
  trap 'interrupted 130' INT
  trap 'interrupted 143' TERM
  trap 'interrupted 129' HUP
  find_steps
  if [ -n "$LIST" ]; then show_table; fi
  show_findings
  if [ -n "$LIST" ]; then
    for i in "${!STEPS[@]}"; do is_ready "$i" || exit 1; done
    exit 0
  fi

  # A record cut short by a kill must not swallow the next line.
  if [ -s "$RECORD" ] && [ -n "$(tail -c 1 "$RECORD")" ]; then echo >>"$RECORD"; fi
  if [ -s "$RECORD" ] && [ -z "$RESUME$DRY_RUN" ]; then
    warn "This script ran before; --resume would skip what it submitted"
  fi
  for i in "${!NUMBERS[@]}"; do
    is_ready "$i" || continue
    say "[${NUMBERS[i]}] ${DIRECTORIES[i]##*/}, step ${STEPS[i]}"
    if submit "$i"; then
      SUBMITTED+=("${NUMBERS[i]}")
    else
      FAILED+=("${NUMBERS[i]}")
      warn "Variant ${NUMBERS[i]} was not submitted"
    fi
  done
  summary
  [ ${#SUBMITTED[@]} -eq ${#NUMBERS[@]} ]
}

main "$@"
