#!/bin/bash
#@begin header
# Evaluate the 2 variants of swarm example (group 58362402).
#@end header

set +efC -uo pipefail # whatever bash was started with

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
SCRIPT="${BASH_SOURCE[0]:-$DASHBOARD.sh}"
[[ $SCRIPT == */* ]] || SCRIPT="./$SCRIPT" # -s.sh is no option
FILE="$SCRIPT"                             # behind all links: it has one record
while [ -L "$FILE" ]; do
  LINK=$(readlink "$FILE") || break
  [[ $LINK == /* ]] || LINK="${FILE%/*}/$LINK"
  FILE="$LINK"
done
RECORD="$FILE.submitted" # a line for each successful submission
LOCK="$RECORD.lock"      # a folder, while a run of this script submits
LOGS="$FILE.logs"        # what olmo-cookbook-eval says of each variant
WEKA_MOUNT="${WEKA_MOUNT:-/weka}"
KIND=raw SUFFIX='' # of the checkpoints that the backend reads

usage() {
  cat <<EOF
Submit the evaluation of each variant's latest complete checkpoint to $DASHBOARD.

Usage: bash $SCRIPT [OPTIONS] [-- ARGUMENTS FOR olmo-cookbook-eval]

  --list         show each variant's step and checkpoint, launch nothing
  --dry-run      pass --dry-run on to olmo-cookbook-eval
  --only LIST    these variants alone, such as 0,3,5-9
  --step N       this step exactly, not the latest
  --same-step    refuse to submit anything if the steps differ
  --again        submit what is recorded as submitted, too; else only the rest (--resume)
  --jobs N       N submissions at a time, not 1
  --yes          do not ask before submitting
  --help         show this text

What olmo-cookbook-eval prints goes to $LOGS.
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

say() { printf '%s\n' "$*" 2>/dev/null; } # who reads it may be gone
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

DRY_RUN='' LIST='' ONLY='' STEP='' SAME_STEP='' AGAIN='' YES='' AT_ONCE=1

parse_options() {
  while [ $# -gt 0 ]; do
    case "$1" in
      --list) LIST=1 ;;
      --dry-run) DRY_RUN=1 ;;
      --same-step) SAME_STEP=1 ;;
      --again) AGAIN=1 ;;
      --resume) AGAIN='' ;;
      --yes) YES=1 ;;
      --only=*) parse_only "${1#*=}" ;;
      --step=*) parse_step "${1#*=}" ;;
      --jobs=*) parse_jobs "${1#*=}" ;;
      --only | --step | --jobs)
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
  [[ $1 =~ ^0*[1-9][0-9]{0,8}$ ]] || refuse "--step needs a number above 0, not '$1'"
  STEP=$((10#$1))
}

parse_jobs() {
  [[ $1 =~ ^0*[1-9][0-9]?$ ]] || refuse "--jobs needs a number from 1 to 99, not '$1'"
  AT_ONCE=$((10#$1))
}

parse_only() {
  local part number last range='[0-9]{1,6}(-[0-9]{1,6})?'
  range="^$range(,$range)*\$"
  [[ $1 =~ $range ]] || refuse "--only needs numbers such as 0,3,5-9, not '$1'"
  for part in ${1//,/ }; do
    number=$((10#${part%-*})) last=$((10#${part#*-}))
    [ "$number" -le "$last" ] || refuse "--only: $part is no range"
    while [ "$number" -le "$last" ]; do
      [[ " ${NUMBERS[*]} " == *" $number "* ]] || refuse "there is no variant $number"
      ONLY="$ONLY $number "
      number=$((number + 1))
    done
  done
}

# --- olmo-cookbook-eval -----------------------------------------------------------------
# All that is particular to it. The options are those of its cookbook/cli/eval.py at c226eb6.

PASSED=()         # further arguments, each option apart from its value
RESULT_ARGS=()    # those of them that make it another evaluation
AS_GENERATED=1    # the backend and the tasks are those of the settings
NAMED_ENVIRONMENT=''

# What is known of an option: its long name, whether it takes a value, and whether it changes the
# result or only says where and how it runs. What is not known may change the result.
know_option() {
  NAME="$1" TAKES=value CHANGES='' KNOWN=1
  case "$1" in
    -c | --cluster | -d | --dashboard | -t | --tasks | -v | --model-backend) ;;
    -b | --budget | -i | --beaker-image | -j | --aws-access-key-id | -k | --aws-secret-access-key) ;;
    -l | --gantry-args | -n | --num-gpus | -p | --partition-size | -s | --huggingface-secret) ;;
    -w | --workspace | -y | --priority | -z | --batch-size | --beaker-retries | --env-name) ;;
    --vllm-memory-utilization) ;;
    -r | --dry-run | -g | --use-gantry | --force-venv | --use-hf-token | --no-use-hf-token) TAKES='' ;;
    --compute-gold-bpb | --vllm-for-mc | --no-vllm-use-v1-spec) TAKES='' ;; # as by default
    --no-use-backend-in-run-name | --no-backfill) TAKES='' ;;
    -o | --remote-output-prefix) NAME=--remote-output-prefix CHANGES=result ;;
    -x | --extra-args) NAME=--extra-args CHANGES=result ;;
    --fim-tokens | --model-args | --name-suffix | --num-shots | --revision) CHANGES=result ;;
    --oe-eval-branch | --oe-eval-commit | --task-args) CHANGES=result ;;
    -a | --add-bos-token) NAME=--add-bos-token TAKES='' CHANGES=result ;;
    --no-compute-gold-bpb | --no-vllm-for-mc | --vllm-use-v1-spec) TAKES='' CHANGES=result ;;
    --use-backend-in-run-name | --backfill) TAKES='' CHANGES=result ;;
    *) TAKES='' CHANGES=result KNOWN='' ;;
  esac
}

# Take the further arguments apart as click does: -gd X is -g -d X, and -dX is -d X.
heed_extra_args() {
  local option value attached
  set -- ${EXTRA_ARGS[@]+"${EXTRA_ARGS[@]}"}
  while [ $# -gt 0 ]; do
    option="$1" value='' attached=''
    shift
    case "$option" in
      --help | --version | --) refuse "olmo-cookbook-eval would submit nothing with $option" ;;
      --*=*) value="${option#*=}" option="${option%%=*}" attached=1 ;;
      -[!-]?*)
        know_option "${option:0:2}"
        if [ -n "$TAKES" ]; then
          value="${option:2}" option="${option:0:2}" attached=1
        elif [ -n "$KNOWN" ]; then
          set -- "-${option:2}" "$@"
          option="${option:0:2}"
        fi
        ;;
    esac
    know_option "$option"
    if [ -n "$attached" ] && [ -z "$TAKES" ]; then
      PASSED+=("$option=$value") RESULT_ARGS+=("$option=$value")
      continue
    fi
    if [ -n "$TAKES" ] && [ -z "$attached" ]; then
      [ $# -gt 0 ] || refuse "$option needs a value"
      value="$1"
      shift
    fi
    case "$option" in
      -c | --cluster) CLUSTER="$value" ;;
      -d | --dashboard) DASHBOARD="$value" ;;
      -r | --dry-run) DRY_RUN=1 ;;
      -t | --tasks) TASKS+=("$value") AS_GENERATED='' ;;
      -v | --model-backend) heed_backend "$value" ;;
      *) PASSED+=("$option" ${TAKES:+"$value"}) ;;
    esac
    [ -z "$CHANGES" ] || RESULT_ARGS+=("$NAME${TAKES:+=$value}")
    [ "$option" != --env-name ] || NAMED_ENVIRONMENT=1
  done
  case "$DASHBOARD" in '' | *[[:cntrl:]]*) refuse "'$DASHBOARD' is not a dashboard" ;; esac
  [ -z "$NAMED_ENVIRONMENT" ] || [ "$AT_ONCE" -eq 1 ] ||
    refuse "--env-name cannot be combined with --jobs, which gives each submission its own"
  [ "$MODEL_BACKEND" = olmo_core ] || KIND=hf SUFFIX=-hf
  if [ "$MODEL_BACKEND" != vllm ]; then # no other backend needs a second call
    TASKS+=(${HF_TASKS[@]+"${HF_TASKS[@]}"})
    HF_TASKS=()
  fi
}

heed_backend() {
  case "$1" in
    "$MODEL_BACKEND") ;;
    olmo_core | hf | vllm) MODEL_BACKEND="$1" AS_GENERATED='' ;;
    *) refuse "'$1' is not a model backend: expected olmo_core, hf or vllm" ;;
  esac
}

# Two calls at a time race for an environment of one name.
run_tool() { # slot, checkpoint, backend, tasks
  local task command
  command=(olmo-cookbook-eval evaluate "$2" --dashboard "$DASHBOARD" --cluster "$CLUSTER"
    --model-backend "$3" ${DRY_RUN:+--dry-run})
  [ "$AT_ONCE" -eq 1 ] || command+=(--env-name "oe-eval-venv-$1")
  command+=(${PASSED[@]+"${PASSED[@]}"})
  shift 3
  show_command "${command[@]}" --tasks "... ($# tasks)"
  for task in "$@"; do
    command+=(--tasks "$task")
  done
  "${command[@]}"
}

show_command() { # without secrets
  local word before=+
  for word in "$@"; do
    case "$before" in
      -j | -k | -s | --aws-access-key-id | --aws-secret-access-key | --huggingface-secret) word=... ;;
    esac
    printf '%s ' "$before"
    printf -v before %q "$word"
  done
  printf '%s\n' "${!#}"
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
  set +m
  CHILDREN="$CHILDREN $!"
}

# Wait for all that was started; returns the last one's status.
finish() {
  local pid status=0
  set -m # wait returns for a child that stops, too
  for pid in $CHILDREN; do
    wait "$pid"
    status=$?
    if kill -0 "$pid" 2>/dev/null; then
      warn "It wants to ask something at the terminal: run the command by hand once"
      stop "$CHILDREN"
      status=1
    fi
  done
  set +m
  CHILDREN=''
  return "$status"
}

stop() { # processes
  [ -n "$1" ] || return
  signal TERM "$1"
  signal CONT "$1" # what is stopped cannot end
  sleep 0.5
  signal KILL "$1"
}

signal() {
  local pid
  for pid in $2; do
    kill "-$1" -- "-$pid" 2>/dev/null
  done
}

# --- storage ----------------------------------------------------------------------------

has() { command -v "$1" >/dev/null 2>&1; }

is_used() { [[ " ${DIRECTORIES[*]}" == *" $1"* ]]; }

need_storage() {
  ! is_used s3:// || has aws || fail "aws is not here; install it to read s3:// checkpoints"
  ! is_used gs:// || has gcloud || has gsutil ||
    fail "neither gcloud nor gsutil is here; install gcloud to read gs:// checkpoints"
  if is_used /weka/ && [ ! -d "$WEKA_MOUNT" ]; then
    [ -n "${WEKA_ENDPOINT_URL:-}" ] && [ -n "${WEKA_PROFILE:-}" ] ||
      fail "cannot read /weka: run this where it is mounted, or set WEKA_ENDPOINT_URL and WEKA_PROFILE"
    has aws || fail "aws is not here; install it to read /weka from outside"
  fi
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
  if has gcloud; then gcloud storage ls "$1*/**"; else gsutil ls "$1*/**"; fi
}

list_folder() { # bucket/prefix
  local file
  cd "$WEKA_MOUNT/${1%%/*}" || return
  for file in "${1#*/}"*/{.metadata.json,config.json} "${1#*/}"*/step*/{.metadata.json,config.json}; do
    [ ! -e "$file" ] || printf '/weka/%s/%s\n' "${1%%/*}" "$file"
  done
}

# Of files, one a line, the complete checkpoints: directory, step and kind. A trainer writes
# .metadata.json late and removes it early; a conversion is complete with its config.json.
checkpoints() {
  awk -v OFS="$TAB" '
    function put(kind) { print substr($0, 1, RSTART - 1), substr($0, RSTART + 5) + 0, kind }
    match($0, /\/step[1-9][0-9]*\/\.metadata\.json$/) { put("raw"); next }
    match($0, /\/step[1-9][0-9]*-hf\/config\.json$/) { put("hf") }'
}

# Look up one prefix; what is found goes to $2.found, why nothing could be to $2.error.
lookup() {
  local attempt status
  printf 'failed\t%s\n' "$1" >"$2.found"
  for attempt in 1 2 3; do
    [ "$attempt" -eq 1 ] || sleep "$attempt"
    list_files "$1" 2>"$2.error" | checkpoints >"$2.part"
    status=$?
    [ "$status" -ne 1 ] || ! is_only_empty "$2.error" || status=0
    if [ "$status" -eq 0 ]; then
      mv "$2.part" "$2.found"
      return
    fi
  done
}

# That nothing is there is status 1, of which aws says nothing, and gcloud and gsutil this.
is_only_empty() { [ ! -s "$1" ] || grep -q 'matched no objects' "$1"; }

# What to look up: a few variants one by one, many by one listing of all that share a name.
prefixes() {
  local directory
  for directory in "${DIRECTORIES[@]}"; do
    case "${#DIRECTORIES[@]} $directory" in
      [1-8]' '*) printf '%s/step\n' "$directory" ;;
      *-"$GROUP_ID"-[0-9]*) printf '%s-\n' "${directory%-*}" ;;
      *) printf '%s/step\n' "$directory" ;;
    esac
  done | sort -u
}

find_steps() {
  local prefix step count=0
  prefixes >"$WORK/prefixes"
  while IFS= read -r prefix; do
    start lookup "$prefix" "$WORK/$count"
    count=$((count + 1))
    [ $((count % JOBS)) -ne 0 ] || finish
  done <"$WORK/prefixes"
  finish
  latest_steps >"$WORK/steps"
  while IFS= read -r step; do
    STEPS+=("$step")
  done <"$WORK/steps"
}

# Of each variant its latest step, or none, or unknown, or the raw step to be converted.
latest_steps() {
  printf '%s\n' "${DIRECTORIES[@]}" | cat "$WORK"/*.found - |
    awk -F "$TAB" -v kind="$KIND" -v wanted="$STEP" '
      NF == 3 && (wanted == "" || $2 == wanted) && $2 > latest[$3, $1] + 0 { latest[$3, $1] = $2 }
      NF == 2 { failed[++failures] = $2 }
      NF == 1 {
        step = latest[kind, $1] + 0
        raw = latest["raw", $1] + 0
        if (raw > step) step = "raw " raw
        if (step == 0) step = "none"
        for (i = 1; i <= failures; i++) if (index($1 "/step", failed[i]) == 1) step = "unknown"
        print step
      }'
}

# --- what was found ---------------------------------------------------------------------

# Each of these takes the index of a variant.
checkpoint() { printf '%s/step%s%s' "${DIRECTORIES[$1]}" "${STEPS[$1]}" "$SUFFIX"; }
is_ready() { [[ ${STEPS[$1]} == [0-9]* ]]; }

ready_steps() { printf '%s\n' "${STEPS[@]}" | grep '^[0-9]'; }

tell() { # what of, pattern of the steps of the variants to be named
  local i numbers=()
  for i in "${!STEPS[@]}"; do
    # shellcheck disable=SC2254 # a pattern
    case "${STEPS[i]}" in $2) numbers+=("${NUMBERS[i]}") ;; esac
  done
  [ ${#numbers[@]} -gt 0 ] && warn "$1: variant $(ranges "${numbers[@]}")"
}

show_table() {
  local i width=8 name where
  for name in "${DIRECTORIES[@]##*/}"; do
    [ ${#name} -le "$width" ] || width=${#name}
  done
  printf "%-8s %-${width}s %-10s %s\n" variant 'run name' step checkpoint
  for i in "${!NUMBERS[@]}"; do
    where="-"
    ! is_ready "$i" || where=$(checkpoint "$i")
    printf "%-8s %-${width}s %-10s %s\n" "${NUMBERS[i]}" "${DIRECTORIES[i]##*/}" "${STEPS[i]}" "$where"
  done
}

show_findings() {
  local most others step
  most=$(ready_steps | awk '++count[$1] > count[most] { most = $1 } END { print most }')
  others=$(ready_steps | sort -nu | grep -vx "$most")
  say "$(ready_steps | grep -c .) of ${#NUMBERS[@]} variants have a checkpoint${STEP:+ of step $STEP}${most:+, most of them at step $most}" >&2
  show_errors
  tell 'Could not be looked up' unknown
  tell 'No complete checkpoint' none
  tell 'Not converted to Hugging Face format' 'raw *' && show_conversion
  for step in $others; do
    tell "At step $step, unlike most" "$step"
  done
  [ -n "$most" ] || fail "There is nothing to submit"
  [ -z "$SAME_STEP" ] || [ -z "$others" ] ||
    fail "Nothing is submitted: the steps differ, and --same-step was asked for"
}

# The first message of each storage: the others say the same of other variants.
show_errors() {
  local storage file
  for storage in s3:// gs:// /weka/; do
    file=$(grep -l "^failed$TAB$storage" "$WORK"/*.found | head -n 1)
    [ -z "$file" ] || warn "A lookup failed: $(cat "${file%.found}.error")"
  done
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

# --- one run at a time ------------------------------------------------------------------

HELD='' # whether the lock is ours

# The lock's file `run` has the host, the command, and the processes: this one, and each submission,
# since those outlive a script that is killed.
lock() {
  if ! mkdir "$LOCK" 2>/dev/null; then
    [ -d "$LOCK" ] || fail "cannot make $LOCK; copy this script elsewhere"
    mkdir "$LOCK/taken" 2>/dev/null || is_busy "another run is just starting"
    check_holder
  fi
  HELD=1
  printf '%s\n' "${HOSTNAME:-}" "$(command_of $$)" $$ >"$LOCK/run" ||
    fail "cannot write to $LOCK; free some space, or copy this script elsewhere"
  rmdir "$LOCK/taken" 2>/dev/null
}

# Leave if a process of the lock is alive. Who made its folder `taken` decides alone, and has it.
check_holder() {
  local host='' words='' pid='' busy=''
  {
    IFS= read -r host
    IFS= read -r words
    while read -r pid; do
      is_same_process "$pid" "$words" && busy="process $pid${words:+ ($words)}" && break
    done
  } 2>/dev/null <"$LOCK/run"
  [ -n "$host$words$pid" ] || busy="another run is just starting"
  [ "$host" = "${HOSTNAME:-}" ] || busy="${busy:-a process} on $host"
  [ -n "$busy" ] || return
  rmdir "$LOCK/taken" 2>/dev/null
  is_busy "$busy"
}

is_busy() { fail "This script runs already: $1. If that is not so, remove $LOCK"; }

# A process of the same number may be another one by now.
is_same_process() { # process, its command if ps could tell
  local now
  now=$(command_of "$1")
  if [ -n "$now" ] && [ -n "$2" ]; then [ "$now" = "$2" ]; else kill -0 "$1" 2>/dev/null; fi
}

command_of() { LC_ALL=C ps -ww -o args= -p "$1" 2>/dev/null; }

clean_up() {
  local pid
  rm -rf "$WORK"
  [ -n "$HELD" ] || return
  for pid in $CHILDREN; do
    ! kill -0 "$pid" 2>/dev/null || return # it submits still
  done
  mv "$LOCK" "$LOCK.$$" && rm -rf "$LOCK.$$"
}

# --- what is submitted already ----------------------------------------------------------

# A variant takes one call of olmo-cookbook-eval, or a second one for the tasks that need hf.
BACKENDS=()    # of each call
CHECKPOINTS=() # of each variant that is ready
CALL_LINES=()  # of each variant and call, its line in the record
TODO=()        # of each variant, the calls to be submitted, such as "0 1"
PLANNED=0      # variants that have such calls
BEFORE=()      # numbers of the ready ones that have none

# A line is dashboard, checkpoint, backend, and a checksum of whatever makes it another evaluation.
# Version 0.1 knew only the tasks; its lines count for what the script does by its settings.
plan() {
  local i call state line keys=() old_keys=() others=()
  if [ ${#TASKS[@]} -gt 0 ]; then
    BACKENDS[0]="$MODEL_BACKEND" keys[0]=$(key "${TASKS[@]}") old_keys[0]=$(old_key "${TASKS[@]}")
  fi
  if [ ${#HF_TASKS[@]} -gt 0 ]; then
    BACKENDS[1]=hf keys[1]=$(key "${HF_TASKS[@]}") old_keys[1]=$(old_key "${HF_TASKS[@]}")
  fi
  for i in "${!NUMBERS[@]}"; do
    is_ready "$i" || continue
    CHECKPOINTS[i]="${DIRECTORIES[i]}/step${STEPS[i]}$SUFFIX"
    for call in "${!keys[@]}"; do
      line="$DASHBOARD$TAB${CHECKPOINTS[i]}$TAB${BACKENDS[call]}$TAB${keys[call]}"
      CALL_LINES[2 * i + call]="$line"
      printf '%s\t%s\t%s\t%s\n' "$i" "$call" "$line" "${old_keys[call]}"
    done
  done >"$WORK/calls"

  compare_with_record >"$WORK/plan" || fail "cannot read $RECORD"
  while read -r i call state; do
    [ "$state" = recorded ] && [ -z "$AGAIN" ] || TODO[i]="${TODO[i]:-} $call"
    [ "$state" != other ] || others[i]="${NUMBERS[i]}"
  done <"$WORK/plan"
  for i in "${!CHECKPOINTS[@]}"; do
    if [ -n "${TODO[i]:-}" ]; then PLANNED=$((PLANNED + 1)); else BEFORE+=("${NUMBERS[i]}"); fi
  done
  [ ${#BEFORE[@]} -eq 0 ] || say "Submitted before: variant $(ranges "${BEFORE[@]}"); --again repeats"
  [ ${#others[@]} -eq 0 ] ||
    warn "Another step is on dashboard $DASHBOARD already, and a fit takes either: variant $(ranges "${others[@]}")"
}

key() { # tasks
  {
    printf -- '--tasks=%s\n' "$@"
    printf '%s\n' ${RESULT_ARGS[@]+"${RESULT_ARGS[@]}"} | awk -F= '
      $1 == "--task-args" { print; next } # the only one of which there can be many
      { last[$1] = $0 }
      END { for (name in last) print last[name] }'
  } | LC_ALL=C sort -u | cksum
}

old_key() { # tasks
  [ ${#RESULT_ARGS[@]} -gt 0 ] || [ -z "$AS_GENERATED" ] || printf '%s\n' "$@" | LC_ALL=C sort | cksum
}

# Of each call its variant, itself, and whether it is recorded; if not, whether another checkpoint of
# that variant is on the dashboard.
compare_with_record() {
  {
    [ ! -f "$RECORD" ] || cat "$RECORD" || return
    echo # the last line may be cut short
    cat "$WORK/calls"
  } | awk -F "$TAB" '
    function run_of(path) { sub(/\/step[0-9]+(-hf)?$/, "", path); return path }
    { sub(/\r$/, "") } # as some editors leave it
    NF != 7 {
      recorded[$0]
      if (!(($1, $2) in known)) { known[$1, $2]; checkpoints[$1, run_of($2)]++ }
      next
    }
    {
      state = "new"
      if (checkpoints[$3, run_of($4)] > (($3, $4) in known)) state = "other"
      if (($3 FS $4 FS $5 FS $6) in recorded || ($7 != "" && ($3 FS $4 FS $7) in recorded))
        state = "recorded"
      print $1, $2, state
    }'
}

# The record is tried with all that is to be written, and then cut back to what it was.
open_record() {
  local size i call lines=()
  mkdir -p "$LOGS" || fail "cannot make the folder $LOGS; copy this script elsewhere"
  [ -z "$DRY_RUN" ] || return
  { : >>"$RECORD" && [ -f "$RECORD" ]; } 2>/dev/null || cannot_record
  # A line cut short must not swallow the next one.
  [ -z "$(tail -c 1 "$RECORD")" ] || echo >>"$RECORD" || cannot_record
  size=$(($(wc -c <"$RECORD")))
  for i in "${!TODO[@]}"; do
    for call in ${TODO[i]}; do
      lines+=("#${CALL_LINES[2 * i + call]}") # counts for nothing, should it stay
    done
  done
  printf '%s\n' "${lines[@]}" 2>/dev/null >>"$RECORD" || call=full
  dd if=/dev/null of="$RECORD" bs=1 seek="$size" 2>/dev/null
  [ "$call" != full ] || cannot_record
}

cannot_record() {
  fail "cannot record what is submitted in $RECORD; free some space, or copy this script elsewhere"
}

# --- submission -------------------------------------------------------------------------

# Of each variant that came to an end: its number, or why it failed.
SUBMITTED=() FAILED=()
# Of each slot, that is of each submission at a time: the variant's index, the process, the start.
UNDER_WAY=() PIDS=() STARTS=()
FREE=1     # a slot
ENDED=0    # variants
UNKNOWN=0  # variants in a row that could not be looked up again
STOPPED='' # why nothing more is submitted

# What became of a variant, as the status of the process that submits it; else olmo-cookbook-eval
# failed. A call that could not be recorded adds its number.
GONE=3 NOT_LOOKED_UP=4 MAYBE=5 ASKED=6 NOT_RECORDED=10

confirm() {
  local answer tasks=$((${#TASKS[@]} + ${#HF_TASKS[@]}))
  [ -z "$YES$DRY_RUN" ] && [ -t 0 ] && [ -t 2 ] || return 0
  printf 'Submit %s of %s to %s, dashboard %s? [y/N] ' "$(count "$PLANNED" evaluation)" \
    "$(count "$tasks" task)" "$CLUSTER" "$DASHBOARD" >&2
  read -r answer
  case "$answer" in [yY] | [yY][eE][sS]) ;; *) fail "Nothing was submitted" ;; esac
}

count() { if [ "$1" -eq 1 ]; then say "$1 $2"; else say "$1 $2s"; fi; }

submit_all() {
  local i used=0
  mkfifo "$WORK/ended" || fail "cannot make a pipe in $WORK; set TMPDIR"
  exec 9<>"$WORK/ended"
  BEGAN=$SECONDS
  for i in "${!CHECKPOINTS[@]}"; do
    [ -n "${TODO[i]:-}" ] || continue
    if [ "$used" -lt "$AT_ONCE" ]; then used=$((used + 1)) FREE=$used; else await; fi
    [ -z "$STOPPED" ] || break
    UNDER_WAY[FREE]=$i STARTS[FREE]=$SECONDS
    start submission "$i" "$FREE"
    PIDS[FREE]=$!
    say "$!" >>"$LOCK/run"
  done
  while [ -n "$CHILDREN" ]; do await; done
}

# Wait until a submission ends, and tell what became of it; FREE is its slot.
await() {
  local index slot status=''
  FREE=''
  set -m # to notice a child that stops
  while [ -z "$FREE" ]; do
    if read -r -t 2 index <&9; then
      for slot in "${!PIDS[@]}"; do
        [ "${UNDER_WAY[slot]}" != "$index" ] || FREE=$slot
      done
    else
      find_silent
    fi
  done
  set +m
  wait "${PIDS[FREE]}" 2>/dev/null
  conclude "${UNDER_WAY[FREE]}" "${status:-$?}" $((SECONDS - STARTS[FREE]))
  unset "PIDS[FREE]" "UNDER_WAY[FREE]"
  CHILDREN="${PIDS[*]:-}"
}

# A submission that was killed says nothing, nor does one that waits for the terminal.
find_silent() {
  local slot pid
  jobs -sp >"$WORK/stopped"
  for slot in "${!PIDS[@]}"; do
    kill -0 "${PIDS[slot]}" 2>/dev/null || FREE=$slot
    while read -r pid; do
      if [ "$pid" = "${PIDS[slot]}" ]; then
        stop "$pid"
        FREE=$slot status=$ASKED
      fi
    done <"$WORK/stopped"
  done
}

submission() { # index of a variant, slot
  local status
  submit "$@" >>"$LOGS/${NUMBERS[$1]}.log" 2>&1
  status=$?
  say "$1" >&9
  return "$status"
}

submit() { # index of a variant, slot
  local call
  say "# variant ${NUMBERS[$1]}, step ${STEPS[$1]}"
  is_there "$1" || return
  for call in ${TODO[$1]}; do
    if [ "$call" -eq 0 ]; then
      evaluate "$1" "$2" 0 "${TASKS[@]}" || return
    else
      evaluate "$1" "$2" 1 "${HF_TASKS[@]}" || return
    fi
  done
}

# A variant that still trains may have deleted its checkpoint since it was found.
is_there() { # index of a variant
  local line status=$GONE
  lookup "${DIRECTORIES[$1]}/step${STEPS[$1]}" "$WORK/again.$1"
  while IFS= read -r line; do
    case "$line" in
      "${DIRECTORIES[$1]}$TAB${STEPS[$1]}$TAB$KIND") status=0 ;;
      failed*) status=$NOT_LOOKED_UP ;;
    esac
  done <"$WORK/again.$1.found"
  [ "$status" -eq 0 ] || cat "$WORK/again.$1.error"
  return "$status"
}

# Success is recorded here, in the child: it outlives this script if that is killed.
evaluate() { # index of a variant, slot, call, tasks
  local index="$1" slot="$2" call="$3" status
  shift 3
  run_tool "$slot" "${CHECKPOINTS[index]}" "${BACKENDS[call]}" "$@" 9>&-
  status=$?
  if [ "$status" -ne 0 ]; then
    # On a full disk even a success can look like this.
    printf '# exit status %s\n' "$status" || return "$MAYBE"
    return 1
  fi
  [ -n "$DRY_RUN" ] || printf '%s\n' "${CALL_LINES[2 * index + call]}" >>"$RECORD" ||
    return $((NOT_RECORDED + call))
}

conclude() { # index of a variant, what became of it, seconds
  local what left='' reason=''
  case "$2" in
    0) what="${DRY_RUN:+tried}" what="${what:-submitted}" ;;
    "$GONE") what="not submitted" reason="${CHECKPOINTS[$1]} is not there any more" ;;
    "$NOT_LOOKED_UP") what="could not be looked up again" ;;
    "$ASKED") what="failed" reason="It wants to ask something at the terminal: run the command by hand once" ;;
    "$MAYBE") what="failed" reason="the disk is full: look on Beaker whether it was submitted" ;;
    "$NOT_RECORDED" | $((NOT_RECORDED + 1)))
      what="submitted and not recorded"
      reason="add this line to $RECORD: ${CALL_LINES[2 * $1 + $2 - NOT_RECORDED]}"
      ;;
    *) what="failed" ;;
  esac
  ENDED=$((ENDED + 1))
  if [ "$ENDED" -lt "$PLANNED" ]; then
    lasting $(((SECONDS - BEGAN) * (PLANNED - ENDED) / ENDED))
    left=", about $LASTING left"
  fi
  lasting "$3"
  what="[$ENDED/$PLANNED] variant ${NUMBERS[$1]}, step ${STEPS[$1]}: $what ($LASTING$left)"

  if [ "$2" -eq 0 ]; then
    SUBMITTED[$1]="${NUMBERS[$1]}" UNKNOWN=0
    say "$what"
    return
  fi
  reason="${reason:-$(last_lines "$LOGS/${NUMBERS[$1]}.log")}"
  FAILED[$1]="${reason##*$'\n'}"
  warn "$what"
  warn "  ${reason//$'\n'/$'\n'  }"
  case "$2" in
    "$NOT_LOOKED_UP") UNKNOWN=$((UNKNOWN + 1)) ;;
    "$MAYBE" | "$NOT_RECORDED" | $((NOT_RECORDED + 1))) STOPPED="the disk is full" ;;
    *) UNKNOWN=0 ;;
  esac
  [ "$UNKNOWN" -lt 3 ] || STOPPED="three variants in a row could not be looked up"
}

lasting() { # seconds; LASTING is how people say it
  if [ "$1" -lt 90 ]; then
    LASTING="$1 s"
  elif [ "$1" -lt 5400 ]; then
    LASTING="$((($1 + 30) / 60)) min"
  else
    LASTING="$((($1 + 1800) / 3600)) h"
  fi
}

# The last lines of a log, of its last call alone, and fit for a terminal.
last_lines() {
  LC_ALL=C awk '
    /^# exit status / { next }
    /^[#+] / { count = 0; next }
    { gsub(/[\001-\037\177]+/, " ") }
    NF { lines[++count] = substr($0, 1, 300) }
    END {
      if (count == 0) print "olmo-cookbook-eval printed nothing"
      for (i = count > 3 ? count - 2 : 1; i <= count; i++) print lines[i]
    }' "$1"
}

summary() {
  local i count=$((${#SUBMITTED[@]} + ${#BEFORE[@]})) numbers=()
  say
  if [ -n "$DRY_RUN" ]; then
    say "Tried without submitting: ${#SUBMITTED[@]} of ${#NUMBERS[@]} variants; see $LOGS"
  else
    say "Submitted: $count of ${#NUMBERS[@]} variants, dashboard $DASHBOARD"
  fi
  for i in "${!FAILED[@]}"; do
    warn "Failed: variant ${NUMBERS[i]}: ${FAILED[i]}"
  done
  for i in ${UNDER_WAY[@]+"${UNDER_WAY[@]}"}; do
    warn "Interrupted, and maybe submitted: variant ${NUMBERS[i]}"
  done
  [ -z "$STOPPED" ] || warn "Stopped: $STOPPED"
  [ -z "$DRY_RUN" ] || return

  for i in "${!CHECKPOINTS[@]}"; do
    [ -z "${TODO[i]:-}" ] || [ -n "${SUBMITTED[i]:-}" ] || numbers+=("${NUMBERS[i]}")
  done
  if [ ${#numbers[@]} -gt 0 ]; then
    i=$(ranges "${numbers[@]}")
    say "To submit variant $i: bash $SCRIPT${AGAIN:+ --again --only ${i// /}}, with the same options"
  fi
  [ ${#CHECKPOINTS[@]} -eq ${#NUMBERS[@]} ] ||
    say "For the others, once they are ready: bash $SCRIPT, with the same options"
  [ "$count" -eq 0 ] || say "Once the results are in: bash $SCRIPT --results"
}

interrupted() {
  trap '' INT TERM HUP
  set +m
  stop "$CHILDREN"
  wait 2>/dev/null
  CHILDREN=''
  warn "Interrupted"
  [ -n "$LIST" ] || summary
  exit "$1"
}

#@begin variants
variants() {
  variant 0 "$ROOT/example-58362402-0000"
  variant 1 "$ROOT/example-58362402-0001"
}
#@end variants

main() {
  { : >&1; } 2>/dev/null || exec >/dev/null
  { : >&2; } 2>/dev/null || exec 2>/dev/null
  variants
  parse_options "$@"
  heed_extra_args
  choose
  [ -n "$LIST" ] || has olmo-cookbook-eval ||
    fail "olmo-cookbook-eval is not here; run this in the olmo-cookbook environment"
  need_storage

  WORK=$(mktemp -d) || fail "cannot make a temporary folder; set TMPDIR"
  trap clean_up EXIT
  trap 'interrupted 130' INT
  trap 'interrupted 143' TERM
  trap 'interrupted 129' HUP
  if [ -z "$LIST" ]; then
    trap '' PIPE # who reads the output may leave
    lock
  fi
  find_steps
  if [ -n "$LIST" ]; then
    show_table
    show_findings
    [ "$(ready_steps | grep -c .)" -eq ${#NUMBERS[@]} ]
    return
  fi
  show_findings

  plan
  if [ "$PLANNED" -gt 0 ]; then
    confirm
    open_record
    submit_all
  fi
  summary
  [ $((${#SUBMITTED[@]} + ${#BEFORE[@]})) -eq ${#NUMBERS[@]} ]
  exit # here, lest bash read on in a file that was edited meanwhile
}

main "$@"
