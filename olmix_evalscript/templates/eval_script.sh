#!/bin/bash
#@begin header
# Evaluate the 2 variants of swarm example (group 58362402).
#@end header

[ -n "${BASH_VERSION:-}" ] || { echo "Run this with bash: bash $0" >&2 && exit 2; }
set +efkC +o posix -uo pipefail # whatever bash was started with
shopt -u failglob nullglob nocasematch

#@begin settings
GROUP_ID='58362402'
DASHBOARD='olmix-58362402'
CLUSTER='aus'
MODEL_BACKEND='olmo_core'
ROOT='s3://ai2-llm/checkpoints/kylel'
TASKS=(
  'arc_easy:rc::olmes:full'
)
EXTRA_ARGS=()
COLLECT_OPTIONS=()
#@end settings

LOOKUPS=8 # at the same time
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
RESULTS_FOLDER="$FILE.results" # a copy of the dashboard's result files
WEKA_MOUNT="${WEKA_MOUNT:-/weka}"
KIND=raw SUFFIX='' # of the checkpoints that the backend reads

usage() {
  cat <<EOF
Evaluate each variant's latest complete checkpoint, for the dashboard $DASHBOARD.

Usage: bash $SCRIPT [OPTIONS] [-- ARGUMENTS FOR olmo-cookbook-eval]

  --list         show each variant's step and checkpoint; submit nothing
  --dry-run      pass --dry-run on to olmo-cookbook-eval; submit and record nothing
  --only LIST    only these variants, such as 0,3,5-9
  --step N       exactly this step, not the latest
  --any-step     each variant's own latest step, even if they differ
  --again        also submit what was submitted before; by default it is skipped
  --jobs N       submit N variants at a time instead of 1
  --yes          do not ask before submitting; without a terminal it never asks
  --results      load and count the results so far, and print the line for collect; submit nothing
  --help         show this text

What olmo-cookbook-eval prints goes to $LOGS.
Exit status: 0 all submitted (or found), 1 some not, 2 wrong usage; 129, 130 or 143 stopped by a
signal (HUP, INT, TERM).
/weka is read where it is mounted (WEKA_MOUNT, by default /weka), or else with aws, which needs
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

# variant 3, or variants 0, 3, 5-9
named() {
  local numbers
  numbers=$(ranges "$@")
  case "$numbers" in *[,-]*) say "variants $numbers" ;; *) say "variant $numbers" ;; esac
}

# --- options ----------------------------------------------------------------------------

DRY_RUN='' LIST='' ONLY='' STEP='' ANY_STEP='' AGAIN='' YES='' RESULTS='' AT_ONCE=1

parse_options() {
  while [ $# -gt 0 ]; do
    case "$1" in
      --list) LIST=1 ;;
      --dry-run) DRY_RUN=1 ;;
      --any-step) ANY_STEP=1 ;;
      --again) AGAIN=1 ;;
      --resume) AGAIN='' ;;
      --yes) YES=1 ;;
      --results) RESULTS=1 ;;
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
      *) refuse "unknown option $1 (those of olmo-cookbook-eval go after --)" ;;
    esac
    shift
  done
}

parse_step() {
  [[ $1 =~ ^0*[1-9][0-9]{0,17}$ ]] || refuse "--step needs a number above 0, not '$1'"
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
    [ "$number" -le "$last" ] || refuse "--only: $part is not a range"
    while [ "$number" -le "$last" ]; do
      [ -n "${KNOWN[number]:-}" ] || refuse "there is no variant $number"
      ONLY=1 CHOSEN[number]=1
      number=$((number + 1))
    done
  done
}

# --- olmo-cookbook-eval -----------------------------------------------------------------
# All that is particular to it. The options are those of its cookbook/cli/eval.py at c226eb6.

HF_TASKS=() # those that vllm cannot run: they go in a second call, on hf
RESULTS_ROOT=s3://ai2-llm/evaluation
OWN_RESULTS="$RESULTS_ROOT $DASHBOARD"
PASSED=()            # further arguments, each option apart from its value
RESULT_ARGS=()       # those of them that make it another evaluation
AS_GENERATED=1       # whether backend and tasks are those of the settings
NAMED_ENVIRONMENT='' # whether --env-name is among them

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
    case "$NAME" in
      --env-name) NAMED_ENVIRONMENT=1 ;;
      --remote-output-prefix) RESULTS_ROOT="${value%/}" ;;
    esac
  done
  case "$DASHBOARD" in '' | *[[:cntrl:]]*) refuse "'$DASHBOARD' is not a dashboard" ;; esac
  [ -n "$CLUSTER" ] || refuse "the cluster is empty"
  [ -z "$NAMED_ENVIRONMENT" ] || [ "$AT_ONCE" -eq 1 ] ||
    refuse "--env-name cannot be combined with --jobs, which gives each submission its own"
  [ "$MODEL_BACKEND" = olmo_core ] || KIND=hf SUFFIX=-hf
  [ "$MODEL_BACKEND" != vllm ] || set_hf_tasks_apart
}

set_hf_tasks_apart() {
  local task given=("${TASKS[@]}")
  TASKS=()
  for task in "${given[@]}"; do
    case "$task" in
      ultrachat_masked_ppl | wildchat_masked_ppl) HF_TASKS+=("$task") ;;
      *) TASKS+=("$task") ;;
    esac
  done
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
KNOWN=() CHOSEN=() # 1 at the number of each variant, and of each that --only names
STATES=() # of each variant: ready, ahead, behind, undecided, unconverted, none or unknown
STEPS=()  # of each variant: a number, or none or unknown
KINDS=()  # of each variant: of which kind that step is: raw, hf or none
MOST=''   # the step that more than half of those with a checkpoint are at
UNSEEN=0  # variants that were not chosen and could not be looked up

variant() { NUMBERS+=("$1") DIRECTORIES+=("$2") KNOWN[$1]=1; }
is_chosen() { [[ -z $ONLY || -n ${CHOSEN[${NUMBERS[$1]}]:-} ]]; }

# Leave the variants that are not chosen, with what is known of them.
choose() {
  local i numbers=() directories=() states=() steps=() kinds=()
  for i in "${!NUMBERS[@]}"; do
    if is_chosen "$i"; then
      numbers+=("${NUMBERS[i]}") directories+=("${DIRECTORIES[i]}")
      states+=("${STATES[i]:-}") steps+=("${STEPS[i]:-}") kinds+=("${KINDS[i]:-}")
    elif [ "${STATES[i]:-}" = unknown ]; then
      UNSEEN=$((UNSEEN + 1))
    fi
  done
  NUMBERS=("${numbers[@]}") DIRECTORIES=("${directories[@]}")
  STATES=("${states[@]}") STEPS=("${steps[@]}") KINDS=("${kinds[@]}")
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

# All that is particular to a storage: LISTER lists the files whose paths begin with a prefix, one
# a line, and MISSING tells what it needs and is not here; need_storage knows which clusters cannot read
# one. A further storage is a case here, and an entry of STORAGES in trainers.py.
storage() { # path
  MISSING=''
  case "$1" in
    s3://*)
      LISTER=list_s3
      has aws || MISSING="aws was not found; install it to read s3:// checkpoints"
      ;;
    gs://*)
      LISTER=list_gs
      has gcloud || has gsutil ||
        MISSING="neither gcloud nor gsutil was found; install gcloud to read gs:// checkpoints"
      ;;
    /weka/*)
      LISTER=list_folder
      [ ! -d "$WEKA_MOUNT" ] || return 0
      LISTER=list_weka
      has aws || MISSING="aws was not found; install it to read /weka from outside"
      [ -n "${WEKA_ENDPOINT_URL:-}" ] && [ -n "${WEKA_PROFILE:-}" ] ||
        MISSING="cannot read /weka: run this where it is mounted, or set WEKA_ENDPOINT_URL and WEKA_PROFILE"
      ;;
  esac
}

need_storage() {
  local i
  for i in "${!DIRECTORIES[@]}"; do
    is_chosen "$i" || continue
    case "${DIRECTORIES[i]} $CLUSTER" in
      "/weka/"*" "*goog* | "/weka/"*" "*augusta*) refuse "the cluster $CLUSTER cannot read /weka" ;;
    esac
    storage "${DIRECTORIES[i]}"
    [ -z "$MISSING" ] || fail "$MISSING"
  done
}

# Most files of a checkpoint are tensors, named __0_0.distcp and so on. With this delimiter S3 gives
# them as one; other servers may know none but the slash.
list_s3() { list_bucket s3:// "${1#s3://}" --delimiter __; }

list_weka() {
  list_bucket /weka/ "${1#/weka/}" --endpoint-url "$WEKA_ENDPOINT_URL" --profile "$WEKA_PROFILE"
}

list_bucket() { # what to put before the bucket, bucket/prefix, options for aws
  local bucket="${2%%/*}" prefix="${2#*/}" before="$1"
  shift 2
  aws s3api list-objects-v2 --bucket "$bucket" --prefix "$prefix" \
    --query 'Contents[].[Key]' --output text --cli-connect-timeout 20 "$@" |
    awk -v before="$before$bucket/" '{ print before $0 }'
}

list_gs() {
  if has gcloud; then gcloud storage ls "$1**"; else gsutil ls "$1**"; fi
}

list_folder() {
  local path="${1#/weka/}" bucket run
  bucket="$WEKA_MOUNT/${path%%/*}/." path="$WEKA_MOUNT/$path"
  [ -d "$bucket" ] || ls -d "$bucket" >/dev/null || return # it must be there
  if [[ $path =~ /step[0-9]*$ ]]; then
    list_run "${path%/*}" "$path"
    return
  fi
  can_read "${path%/*}" || return
  for run in "$path"*; do
    [ -f "$run" ] || list_run "$run" "$run/step" || return
  done
}

# The files of a run that tell which steps are complete, or that it cannot be read.
list_run() { # run, beginning of its steps' paths
  local step part file files unseen="$1"
  for step in "$2"*/; do
    [ "$step" != "$2*/" ] || break # nothing begins so
    unseen=''
    for part in "$step" "$step"train "$step"model_and_optim; do
      [ ! -d "$part" ] || [ -x "$part" ] || unseen="$part"
    done
    files=("$step"{.metadata.json,model_and_optim/.metadata,train/rank0.pt})
    case "$step" in
      *-hf/) files=("$step"config.json "$step"{model.safetensors,pytorch_model.bin}*) ;;
    esac
    for file in "${files[@]}"; do
      [ ! -e "$file" ] || printf '/weka%s\n' "${file#"$WEKA_MOUNT"}" || return
    done
    [ -z "$unseen" ] || break
  done
  [ -z "$unseen" ] || can_read "$unseen" || printf 'failed\t/weka%s/step\n' "${1#"$WEKA_MOUNT"}"
}

# Whether a folder can be read; one that is not there holds nothing, and is no failure.
can_read() {
  local message
  message=$(LC_ALL=C ls "$1/." 2>&1 >/dev/null) && return
  case "$message" in *'No such file or directory') return 0 ;; esac
  printf '%s\n' "$message" >&2
  return 1
}

# Of files, one a line, the complete checkpoints: directory, step and kind. Raw ones have what
# OLMo-core's latest_checkpoint asks for; a conversion has its config.json before its weights. At the
# end comes a line that tells that nothing was cut off.
checkpoints() {
  awk -v OFS="$TAB" '
    function put(kind) {
      match(path, /\/step[0-9]+(-hf)?$/)
      step = substr(path, RSTART + 5)
      sub(/-hf$/, "", step)
      print substr(path, 1, RSTART - 1), step, kind
    }
    /^failed\t/ { print; next }
    {
      file = $0
      if (!sub(/^.*\/step[1-9][0-9]*(-hf)?\//, "", file)) next
      path = substr($0, 1, length($0) - length(file) - 1)
    }
    path !~ /-hf$/ {
      if (file ~ /^(\.metadata\.json|model_and_optim\/\.metadata|train\/rank0\.pt)$/)
        if (!seen[$0]++ && ++parts[path] == 3) put("raw")
      next
    }
    file == "config.json" { config[path] = 1 }
    file ~ /^(model\.safetensors|pytorch_model\.bin)(\.index\.json)?$/ { weights[path] = 1 }
    config[path] && weights[path] && !done[path]++ { put("hf") }
    END { print "end", "" }'
}

# Look up one prefix; what is found goes to $2.found, why nothing could be to $2.error.
lookup() {
  local attempt status
  storage "$1"
  for attempt in 1 2 3; do
    [ -z "$MISSING" ] || { say "$MISSING" >"$2.error" && break; }
    [ "$attempt" -eq 1 ] || sleep "$attempt"
    "$LISTER" "$1" >"$2.files" 2>"$2.error"
    status=$?
    [ "$LISTER" != list_gs ] || [ -s "$2.files" ] || ! grep -q 'matched no objects' "$2.error" || status=0
    [ "$status" -ne 0 ] || checkpoints <"$2.files" >"$2.found" || status=$?
    [ "$status" -ne 0 ] || return 0
  done
  printf 'failed\t%s\nend\t\n' "$1" >"$2.found"
}

# What to look up: the steps of each run, or runs by the beginning that their names share. It takes
# as long to start a listing as to list ten runs, and the longest listing is waited for.
prefixes() {
  printf '%s\n' "${DIRECTORIES[@]}" | awk -v name="-$GROUP_ID-[0-9][0-9][0-9][0-9]+\$" '
    function prefix(directory, digits) { # with that many digits cut off
      if (digits == 0 || directory !~ name) return directory "/step"
      return substr(directory, 1, length(directory) - digits)
    }
    { directories[NR] = $0 }
    END {
      runs = 1 # in the longest listing
      for (digits = 0; digits <= 4; digits++) {
        split("", seen)
        count = 0
        for (i = 1; i <= NR; i++) if (!seen[prefix(directories[i], digits)]++) count++
        cost = 10 * count + runs
        if (digits == 0 || cost < least) { least = cost; best = digits }
        runs *= 10
      }
      split("", seen)
      for (i = 1; i <= NR; i++) if (!seen[prefix(directories[i], best)]++)
        print prefix(directories[i], best)
    }'
}

find_steps() {
  local prefix state step kind count=0
  prefixes >"$WORK/prefixes" || cannot_work
  start notice
  NOTICE="${CHILDREN# }" CHILDREN=''
  disown "$NOTICE" # bash would report that it was killed
  while IFS= read -r prefix; do
    start lookup "$prefix" "$WORK/$count"
    count=$((count + 1))
    [ $((count % LOOKUPS)) -ne 0 ] || finish
  done <"$WORK/prefixes"
  finish
  signal KILL "$NOTICE"
  NOTICE=''
  latest_steps "$count" >"$WORK/steps" || cannot_work
  STATES=() STEPS=() KINDS=()
  {
    IFS= read -r MOST
    while IFS="$TAB" read -r state step kind; do
      STATES+=("$state") STEPS+=("$step") KINDS+=("$kind")
    done
  } <"$WORK/steps"
  [ ${#STATES[@]} -eq ${#NUMBERS[@]} ] || cannot_work
}

cannot_work() { fail "cannot write to $WORK; free some space, or set TMPDIR"; }

NOTICE='' # the process that says what a slow lookup looks at

notice() {
  local count first
  sleep 2
  count=$(grep -c . "$WORK/prefixes")
  first=$(head -n 1 "$WORK/prefixes")
  [ "$count" -eq 1 ] || first="$first* and $((count - 1)) more"
  say "Looking up $first*" >&2
}

# The step that more than half of the variants with a checkpoint are at, if that is so whatever those
# that could not be looked up are at; then the state of each variant, its step, and of which kind it is.
latest_steps() { # how many prefixes were looked up
  printf '%s\n' "${DIRECTORIES[@]}" | cat "$WORK"/*.found - |
    awk -F "$TAB" -v OFS="$TAB" -v kind="$KIND" -v wanted="$STEP" -v any="$ANY_STEP" -v all="$1" '
      # Compared as text, since some awks cut numbers off at 2^31.
      function later(a, b) {
        return length(a) > length(b) || length(a) == length(b) && (a "") > (b "")
      }
      NF == 3 {
        if (wanted == "" || ($2 "") == (wanted ""))
          if (later($2, latest[$3, $1])) latest[$3, $1] = $2
      }
      $1 == "end" && NF == 2 { ends++; next }
      NF == 2 && $2 ~ /\/step$/ { unknown[$2] = 1 }
      NF == 2 && $2 !~ /\/step$/ { failed[++failures] = $2 }
      NF == 1 {
        state[++variants] = "ready"
        is[variants] = kind
        step[variants] = latest[kind, $1]
        if (later(latest["raw", $1], latest[kind, $1])) {
          state[variants] = "unconverted"
          is[variants] = "raw"
          step[variants] = latest["raw", $1]
        }
        if (step[variants] == "") state[variants] = step[variants] = "none"
        for (i = 1; i <= failures; i++) if (index($1, failed[i]) == 1) unknown[$1 "/step"] = 1
        if (unknown[$1 "/step"]) { state[variants] = step[variants] = "unknown"; found++ }
        if (step[variants] ~ /^[0-9]/) { found++; count[step[variants]]++ } else is[variants] = "none"
      }
      END {
        if (ends != all) exit 1
        for (one in count) if (2 * count[one] > found) most = one
        print most
        for (i = 1; i <= variants; i++) {
          if (any == "" && step[i] ~ /^[0-9]/) {
            if (most == "") state[i] = "undecided"
            else if (later(most, step[i])) state[i] = "behind"
            else if (later(step[i], most) && state[i] == "ready") state[i] = "ahead"
          }
          print state[i], step[i], is[i]
        }
      }'
}

# --- what was found ---------------------------------------------------------------------

READY=0 # variants that can be submitted

# Each of these takes the index of a variant.
checkpoint() { printf '%s/step%s%s' "${DIRECTORIES[$1]}" "${STEPS[$1]}" "$SUFFIX"; }
is_ready() { [[ ${STATES[$1]} == ready || ${STATES[$1]} == ahead ]]; }

# Name the variants in a state; COUNT and STEPS in the words are filled in.
tell() { # state, words
  local i low='' high='' words="$2" numbers=()
  for i in "${!STATES[@]}"; do
    [ "${STATES[i]}" = "$1" ] || continue
    numbers+=("${NUMBERS[i]}")
    [[ ${STEPS[i]} == [0-9]* ]] || continue
    [ -n "$low" ] && [ "$low" -le "${STEPS[i]}" ] || low="${STEPS[i]}"
    [ -n "$high" ] && [ "$high" -ge "${STEPS[i]}" ] || high="${STEPS[i]}"
  done
  [ ${#numbers[@]} -gt 0 ] || return
  [ "$low" = "$high" ] || low="$low-$high"
  words="${words/COUNT/${#numbers[@]}}"
  warn "${words/STEPS/$low}: $(named "${numbers[@]}")"
}

# A line for each variant, of four columns whatever the terminal.
show_table() {
  local i width=8 name where
  for name in "${DIRECTORIES[@]##*/}"; do
    [ ${#name} -le "$width" ] || width=${#name}
  done
  printf "%-8s %-${width}s %-10s %s\n" variant run step checkpoint
  for i in "${!NUMBERS[@]}"; do
    where="${DIRECTORIES[i]}"
    case "${KINDS[i]}" in
      raw) where="$where/step${STEPS[i]}" ;;
      hf) where="$where/step${STEPS[i]}-hf" ;;
    esac
    printf "%-8s %-${width}s %-10s %s\n" "${NUMBERS[i]}" "${DIRECTORIES[i]##*/}" "${STEPS[i]}" "$where"
  done
}

show_findings() {
  local i found=0 which="most of them " where=''
  if [ -n "$ONLY" ] && [ -z "$STEP$ANY_STEP" ]; then
    which="most of the swarm "
  elif [ ${#NUMBERS[@]} -eq 1 ]; then
    which=''
  fi
  for i in "${!STATES[@]}"; do
    [ "${KINDS[i]}" != "$KIND" ] || found=$((found + 1))
    ! is_ready "$i" || READY=$((READY + 1))
  done
  [ -z "$MOST" ] || [ "$found" -eq 0 ] || where=", ${which}at step $MOST"
  [ -z "$STEP" ] || where=" of step $STEP"
  say "$(have "$found") a checkpoint$where" >&2
  show_errors
  tell unknown 'Could not be looked up'
  tell none 'No complete checkpoint'
  tell unconverted 'Not converted to Hugging Face format' && show_conversion
  tell behind 'COUNT held back at step STEPS (still training, or stopped early)'
  tell ahead 'COUNT ahead at step STEPS (submitted anyway)'
  [ "$UNSEEN" -eq 0 ] || warn "Could not be looked up among those not chosen: $UNSEEN"
  tell undecided 'COUNT at step STEPS, and no step has a majority' &&
    fail "Nothing is submitted: choose each variant's latest with --any-step, or one step with --step N"
  [ "$READY" -gt 0 ] || [ -n "$LIST" ] || fail "There is nothing to submit"
}

# The first message of each storage: the others say the same of other variants.
show_errors() {
  local file
  grep "^failed$TAB" "$WORK"/*.found /dev/null |
    awk -F "$TAB" '{
      match($2, /^\/?[^:\/]+/)
      if (seen[substr($2, 1, RLENGTH)]++) next
      sub(/\.found:failed$/, ".error", $1)
      print $1
    }' |
    while IFS= read -r file; do
      warn "A lookup failed: $(head -n 9 "$file" | printable)"
    done
}

# How to convert the first checkpoint that needs it; olmo-cookbook converts folders alone.
show_conversion() {
  local i path
  for i in "${!STATES[@]}"; do
    [ "${STATES[i]}" = unconverted ] || continue
    path="${DIRECTORIES[i]}/step${STEPS[i]}"
    case "$path" in
      /weka/*) warn "  olmo-cookbook-eval convert ${path#/weka} -t olmo-core-v2 --use-beaker" ;;
      *)
        warn "  copy $path to a folder, then"
        warn "  olmo-cookbook-eval convert FOLDER/step${STEPS[i]} -t olmo-core-v2"
        warn "  and copy FOLDER/step${STEPS[i]}-hf to $path-hf"
        ;;
    esac
    return
  done
}

# --- one run at a time ------------------------------------------------------------------

HELD='' # whether the lock is ours

# The lock's file `run` has the host, the command, and the processes: this one, and each submission,
# since those outlive a script that is killed. Only who has made its folder `taken` reads and writes it.
lock() {
  local holder tries=$((50 + RANDOM % 50)) # at random, lest two give up at the same moment
  holder=$(printf '%s\n' "${HOSTNAME:-}" "$(command_of $$)" $$)
  mkdir "$LOCK" 2>/dev/null
  until mkdir "$LOCK/taken" 2>/dev/null; do
    mkdir "$LOCK" 2>/dev/null && continue
    [ -d "$LOCK" ] || fail "cannot make $LOCK; copy this script elsewhere"
    tries=$((tries - 1))
    [ "$tries" -ne 0 ] || rmdir "$LOCK/taken" 2>/dev/null # who made it was killed
    [ "$tries" -gt -9 ] || fail "cannot write to $LOCK; free some space, or copy this script elsewhere"
    sleep 0.1
  done
  check_holder
  if ! say "$holder" >"$LOCK/run"; then
    rm -f "$LOCK/run"
    rmdir "$LOCK/taken" "$LOCK"
    fail "cannot write to $LOCK; free some space, or copy this script elsewhere"
  fi
  HELD=1
  rmdir "$LOCK/taken"
}

# Leave if a process of the lock is alive.
check_holder() {
  local host='' words='' pid busy=''
  {
    IFS= read -r host
    IFS= read -r words
    while read -r pid; do
      is_same_process "$pid" "$words" && busy="process $pid${words:+ ($words)}" && break
    done
  } 2>/dev/null <"$LOCK/run"
  [ -z "$host" ] || [ "$host" = "${HOSTNAME:-}" ] || busy="${busy:-a process} on $host"
  [ -n "$busy" ] || return
  rmdir "$LOCK/taken"
  fail "This script is already running: $busy. If it is not, remove $LOCK"
}

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
  rm -f "$LOCK/run"
  rmdir "$LOCK" 2>/dev/null # unless another run is about to have it
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
  [ ${#BEFORE[@]} -eq 0 ] || say "Already submitted: $(named "${BEFORE[@]}") (--again repeats)"
  [ ${#others[@]} -eq 0 ] ||
    warn "Dashboard $DASHBOARD already has another step, and a fit may take either: $(named "${others[@]}")"
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
OPTIONS="the same options" # for those that are left
WAITING='' # whether read waits for a submission
INTERRUPTED='' # the exit status, if a signal came meanwhile

# What became of a variant, as the status of the process that submits it; else olmo-cookbook-eval
# failed. A call that could not be recorded adds its number.
GONE=3 NOT_LOOKED_UP=4 MAYBE=5 ASKED=6 MISUSED=7 NOT_RECORDED=10

confirm() {
  local answer tasks=$((${#TASKS[@]} + ${#HF_TASKS[@]}))
  [ -z "$YES$DRY_RUN" ] && [ -t 0 ] && [ -t 2 ] || return 0
  printf 'Submit %s of %s to %s, dashboard %s? [y/N] ' "$(count "$PLANNED" evaluation)" \
    "$(count "$tasks" task)" "$CLUSTER" "$DASHBOARD" >&2
  read -r answer
  case "$answer" in [yY] | [yY][eE][sS]) ;; *) fail "Nothing was submitted" ;; esac
}

count() { if [ "$1" -eq 1 ]; then say "$1 $2"; else say "$1 $2s"; fi; }

of_all() { # variants
  if [ ${#NUMBERS[@]} -eq 1 ]; then count "$1" variant; else say "$1 of ${#NUMBERS[@]} variants"; fi
}

have() { # variants
  if [ "$1" -eq 1 ]; then say "$(of_all 1) has"; else say "$(of_all "$1") have"; fi
}

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
  WAITING=1
  set -m # to notice a child that stops
  while [ -z "$FREE$INTERRUPTED" ]; do
    if read -r -t 1 index <&9; then
      for slot in "${!PIDS[@]}"; do
        [ "${UNDER_WAY[slot]}" != "$index" ] || FREE=$slot
      done
    else
      find_silent
    fi
  done
  set +m
  WAITING=''
  [ -z "$INTERRUPTED" ] || interrupted "$INTERRUPTED"
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
    [ "$status" -ne 2 ] || return "$MISUSED" # as click has it
    return 1
  fi
  [ -n "$DRY_RUN" ] || printf '%s\n' "${CALL_LINES[2 * index + call]}" >>"$RECORD" ||
    return $((NOT_RECORDED + call))
}

conclude() { # index of a variant, what became of it, seconds
  local what left='' reason=''
  case "$2" in
    0) what="${DRY_RUN:+dry run passed}" what="${what:-submitted}" ;;
    "$GONE") what="not submitted" reason="${CHECKPOINTS[$1]} is no longer there" ;;
    "$NOT_LOOKED_UP") what="could not be looked up again" ;;
    "$ASKED") what="failed" reason="It wants to ask something at the terminal: run the command by hand once" ;;
    "$MAYBE") what="failed" reason="the disk is full: check on Beaker whether it was submitted" ;;
    "$NOT_RECORDED" | $((NOT_RECORDED + 1)))
      what="submitted, but not recorded"
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
    "$MISUSED") STOPPED="olmo-cookbook-eval does not take these arguments" OPTIONS="options that it takes" ;;
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

# Text without what a terminal would obey.
printable() { LC_ALL=C awk '{ gsub(/[\001-\037\177]+/, " "); print }'; }

# The last lines of a log, of its last call alone, and fit for a terminal.
last_lines() {
  printable <"$1" | LC_ALL=C awk '
    /^# exit status / { next }
    /^[#+] / { count = 0; next }
    NF { lines[++count] = substr($0, 1, 300) }
    END {
      if (count == 0) print "olmo-cookbook-eval printed nothing"
      for (i = count > 3 ? count - 2 : 1; i <= count; i++) print lines[i]
    }'
}

summary() {
  local i count=$((${#SUBMITTED[@]} + ${#BEFORE[@]})) numbers=() maybe=() only=''
  say
  if [ -z "$DRY_RUN" ]; then
    [ "$PLANNED" -gt 0 ] || say "Nothing new to submit"
    say "Submitted: $(of_all "$count"), dashboard $DASHBOARD"
  elif [ "$PLANNED" -gt 0 ]; then
    say "Dry run: $(of_all ${#SUBMITTED[@]}) passed, nothing submitted; see $LOGS"
  else
    say "Nothing to try: every variant that is ready was submitted before"
  fi
  for i in "${!FAILED[@]}"; do
    warn "Failed: variant ${NUMBERS[i]}: ${FAILED[i]}"
  done
  for i in ${UNDER_WAY[@]+"${UNDER_WAY[@]}"}; do
    maybe+=("${NUMBERS[i]}")
    TODO[i]=''
  done
  [ ${#maybe[@]} -eq 0 ] || [ -n "$DRY_RUN" ] ||
    warn "Interrupted, so check on Beaker whether it was submitted: $(named "${maybe[@]}")"
  [ -z "$STOPPED" ] || warn "Stopped: $STOPPED"
  [ -z "$DRY_RUN" ] || return

  for i in "${!CHECKPOINTS[@]}"; do
    [ -z "${TODO[i]:-}" ] || [ -n "${SUBMITTED[i]:-}" ] || numbers+=("${NUMBERS[i]}")
  done
  if [ ${#numbers[@]} -gt 0 ]; then
    i=$(ranges "${numbers[@]}")
    [ -z "$AGAIN" ] && [ ${#maybe[@]} -eq 0 ] || only=" --only ${i// /}"
    [ -z "$only" ] || OPTIONS="your other options"
    say "To submit $(named "${numbers[@]}"): bash $SCRIPT${AGAIN:+ --again}$only, with $OPTIONS"
  fi
  [ ${#CHECKPOINTS[@]} -eq ${#NUMBERS[@]} ] ||
    say "For the others, once they are ready: bash $SCRIPT, with the same options"
  [ "$count" -eq 0 ] || say "Once the results are in: bash $SCRIPT --results$(results_options)"
}

interrupted() {
  trap '' INT TERM HUP
  set +m
  stop "$CHILDREN $NOTICE"
  wait 2>/dev/null
  CHILDREN=''
  warn "Interrupted"
  [ "$PLANNED" -eq 0 ] || summary
  exit "$1"
}

# While read waits for a time, bash leaves a trap half-way once that time is up.
signaled() { if [ -n "$WAITING" ]; then INTERRUPTED=$1; else interrupted "$1"; fi; }

heed_interrupts() {
  trap 'signaled 130' INT
  trap 'signaled 143' TERM
  trap 'signaled 129' HUP
}

# --- results ----------------------------------------------------------------------------

# What tells --results of another place than the script's own.
results_options() {
  [ "$RESULTS_ROOT $DASHBOARD" = "$OWN_RESULTS" ] || printf ' -- -d %q -o %q' "$DASHBOARD" "$RESULTS_ROOT"
}

results() {
  local url="$RESULTS_ROOT/$DASHBOARD/"
  [[ $url == s3://* ]] ||
    fail "--results reads only s3://, not $url; copy its *metrics-all.jsonl files to a folder for" \
      "$(collect_line FOLDER)"
  has aws || fail "aws was not found; install it to load results from $url"
  mkdir -p "$RESULTS_FOLDER" || fail "cannot make the folder $RESULTS_FOLDER; copy this script elsewhere"

  heed_interrupts
  say "Loading results from $url"
  start load_results "$url"
  finish || fail "Not all results could be loaded from $url: see above, then run this again"
  show_results
}

# Make the folder what the dashboard is. Without --exact-timestamps, aws keeps a file that was
# replaced by one of the same size. It writes to a file of another name first, and renames that.
load_results() { # URL
  aws s3 sync "$1" "$RESULTS_FOLDER" --exclude '*' --include '*metrics-all.jsonl' \
    --exact-timestamps --delete --no-progress --cli-connect-timeout 20 |
    awk '/^download: / { new++ } END { print new + 0 " new or changed files" }'
}

show_results() {
  local step at='' lines kind complete numbers total=$((${#TASKS[@]} + ${#HF_TASKS[@]}))
  lines=$(results_of_variants | count_results)
  step="${STEP:-${lines%%$'\n'*}}"
  choose
  lines=$(grep -E "^($(IFS='|' && printf '%s' "${NUMBERS[*]}"))$TAB" <<<"${lines#*$'\n'}")
  complete=$(grep -c "$TAB$total of " <<<"$lines")
  case "$step" in '') ;; several) at=" at one step or another" ;; *) at=" at step $step" ;; esac
  say "$(have "$complete") results of all tasks ($total)$at"
  awk -F "$TAB" -v all="$total of " 'index($2, all) != 1 && !seen[$2]++ { print $2 }' <<<"$lines" |
    sort -rn | while IFS= read -r kind; do
    numbers=$(awk -F "$TAB" -v kind="$kind" '$2 == kind { print $1 }' <<<"$lines")
    warn "Results of $kind: $(named "$numbers")"
  done
  if [ "$step" = several ] && [ "$complete" -gt 0 ]; then
    fail "No step is that of most variants yet: wait for more results, or choose one with --step"
  elif [ "$complete" -eq 0 ]; then
    say "When they are in:"
  elif [ "$complete" -lt ${#NUMBERS[@]} ]; then
    say "When the others are in, or else with --allow-partial:"
  fi
  say "$(collect_line "$RESULTS_FOLDER")"
  [ "$complete" -eq ${#NUMBERS[@]} ]
}

collect_line() { # folder of results
  printf 'olmix-evalscript collect %q' "$GROUP_ID"
  printf ' %q' ${COLLECT_OPTIONS[@]+"${COLLECT_OPTIONS[@]}"} --results "$1" ${STEP:+--step "$STEP"}
}

# All tasks; then each variant, its steps, and the lines of their files.
results_of_variants() {
  local i run folder step
  printf "task$TAB%s\n" ${TASKS[@]+"${TASKS[@]}"} ${HF_TASKS[@]+"${HF_TASKS[@]}"}
  for i in "${!NUMBERS[@]}"; do
    printf "variant$TAB%s\n" "${NUMBERS[i]}"
    run="$RESULTS_FOLDER/${DIRECTORIES[i]##*/}"
    for folder in "$run"_step*; do
      step="${folder#"$run"_step}"
      step="${step%-hf}"
      [[ $step =~ ^[1-9][0-9]*$ && ${STEP:-$step} == "$step" ]] || continue
      printf "step$TAB%s\n" "$step"
      print_results "$folder"
    done
  done
}

print_results() { # folder
  local file
  for file in "$1"/*; do
    if [ -d "$file" ]; then
      print_results "$file"
    elif [[ $file == *metrics-all.jsonl ]]; then
      cat "$file"
      echo # a file may end without
    fi
  done
}

# The step that more than half of the variants have results at, if there is just one, or "several" where
# results are at other steps; then of each variant its number, and how many of the tasks it has results
# of at that step. Where there is no such step, its own with the most counts. A task is named by its
# alias, or else by task_name; a line where that is not plain, or that is cut off, counts for nothing.
# Aggregates of several tasks are none.
count_results() {
  LC_ALL=C awk -F "$TAB" '
    function text(key,    rest, found, value) {
      rest = $0
      while (match(rest, "[{,][ \t]*\"" key "\"[ \t]*:[ \t]*")) {
        rest = substr(rest, RSTART + RLENGTH)
        if (rest ~ /^null/) continue
        value = match(rest, /^"[^"\\]*"/) ? substr(rest, 2, RLENGTH - 2) : "?"
        if (found != "" && found != value) return "?"
        found = value
      }
      return found
    }
    function is_whole(    rest) {
      rest = $0
      gsub(/\\./, "", rest)
      gsub(/"[^"]*"/, "", rest)
      return rest ~ /^[{].*[}][ \t\r]*$/ && gsub(/[{]/, "", rest) == gsub(/[}]/, "", rest)
    }
    $1 == "task" { wanted[$2]; tasks++; next }
    $1 == "variant" { number = $2; order[++variants] = number; next }
    $1 == "step" { step = $2; next }
    !is_whole() || /"num_tasks"[ \t]*:[ \t]*[1-9]/ { next }
    {
      task = text("alias")
      if (task == "") task = text("task_name")
      if (!(task in wanted) || seen[number, step, task]++) next
      if (++count[number, step] == 1) {
        having[step]++
        steps[number] = steps[number] ", " step
      }
      if (count[number, step] > most[number]) most[number] = count[number, step]
    }
    END {
      for (step in having) {
        kinds++
        if (2 * having[step] > variants) { shared = step; shares++ }
      }
      if (shares != 1) shared = ""
      print (shared == "" && kinds > 1 ? "several" : shared)
      for (i = 1; i <= variants; i++) {
        number = order[i]
        found = (shared == "" ? most[number] : count[number, shared]) + 0
        only = (found || steps[number] == "") ? "" : " (only at step " substr(steps[number], 3) ")"
        print number "\t" found " of " tasks " tasks" only
      }
    }'
}

#@begin variants
variants() {
  variant 0 "$ROOT/example-58362402-0000"
  variant 1 "$ROOT/example-58362402-0001"
}
#@end variants

# A pipe or file would get the number of a stream that whoever started this closed.
open_streams() {
  : 9>&2 || exec 2>/dev/null
  { : 9>&1; } 2>/dev/null || exec >/dev/null
  { : 9<&0; } 2>/dev/null || exec </dev/null
}

main() {
  open_streams
  variants
  parse_options "$@"
  [ -z "$STEP" ] || [ -z "$ANY_STEP" ] || refuse "--step cannot be combined with --any-step"
  [ -z "$LIST" ] || [ -z "$RESULTS" ] || refuse "--list cannot be combined with --results"
  heed_extra_args
  # The swarm's step takes a look at all variants, which --list need not tell of a few.
  [ -z "$LIST" ] || [ -z "$ONLY" ] || ANY_STEP=1
  [ -z "$RESULTS" ] || {
    results
    exit
  }
  [ -z "$STEP$ANY_STEP" ] || choose
  [ -n "$LIST" ] || has olmo-cookbook-eval ||
    fail "olmo-cookbook-eval was not found; run this in the olmo-cookbook environment"
  need_storage

  WORK=$(mktemp -d) || fail "cannot make a temporary folder; set TMPDIR"
  trap clean_up EXIT
  heed_interrupts
  if [ -z "$LIST" ]; then
    trap '' PIPE # who reads the output may leave
    lock
  fi
  find_steps
  choose
  if [ -n "$LIST" ]; then
    show_table || exit 1
    show_findings
    [ "$READY" -eq ${#NUMBERS[@]} ]
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
