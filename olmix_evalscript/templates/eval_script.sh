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

LOOKUPS=8 # at the same time
TAB=$'\t'
SCRIPT="${BASH_SOURCE[0]:-$DASHBOARD.sh}"
RECORD="$SCRIPT.submitted" # a line for each successful submission
RESULTS_FOLDER="$SCRIPT.results" # a copy of the dashboard's result files
WEKA_MOUNT="${WEKA_MOUNT:-/weka}"
KIND=raw SUFFIX='' # of the checkpoints that the backend reads
[ "$MODEL_BACKEND" = olmo_core ] || KIND=hf SUFFIX=-hf

usage() {
  cat <<EOF
Submit the evaluation of each variant's latest complete checkpoint to $DASHBOARD.

Usage: bash $SCRIPT [OPTIONS] [-- ARGUMENTS FOR olmo-cookbook-eval]

  --list         show each variant's step and checkpoint, launch nothing
  --dry-run      pass --dry-run on to olmo-cookbook-eval
  --only LIST    these variants alone, such as 0,3,5-9
  --step N       this step exactly, not the latest
  --any-step     each variant's latest, wherever most of them are
  --resume       skip what an earlier run of this script submitted
  --results      load the results that are in and count them, launch nothing
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

DRY_RUN='' LIST='' ONLY='' STEP='' ANY_STEP='' RESUME='' RESULTS=''

parse_options() {
  while [ $# -gt 0 ]; do
    case "$1" in
      --list) LIST=1 ;;
      --dry-run) DRY_RUN=1 ;;
      --any-step) ANY_STEP=1 ;;
      --resume) RESUME=1 ;;
      --results) RESULTS=1 ;;
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
  [[ $1 =~ ^0*[1-9][0-9]{0,17}$ ]] || refuse "--step needs a number above 0, not '$1'"
  STEP=$((10#$1))
}

parse_only() {
  local part number last range='[0-9]{1,6}(-[0-9]{1,6})?'
  range="^$range(,$range)*\$"
  [[ $1 =~ $range ]] || refuse "--only needs numbers such as 0,3,5-9, not '$1'"
  for part in ${1//,/ }; do
    number=$((10#${part%-*})) last=$((10#${part#*-}))
    [ "$number" -le "$last" ] || refuse "--only: $part is not a range"
    while [ "$number" -le "$last" ]; do
      [[ " ${NUMBERS[*]} " == *" $number "* ]] || refuse "there is no variant $number"
      ONLY="$ONLY $number "
      number=$((number + 1))
    done
  done
}

# What goes to olmo-cookbook-eval, and matters here too.
heed_extra_args() {
  local argument previous=''
  for argument in ${EXTRA_ARGS[@]+"${EXTRA_ARGS[@]}"}; do
    case "$previous" in -d | --dashboard) DASHBOARD="$argument" ;; esac
    case "$argument" in
      --dashboard=*) DASHBOARD="${argument#*=}" ;;
      --dry-run) DRY_RUN=1 ;;
    esac
    # -r among single letters that take no value, such as -gr
    [[ $argument =~ ^-[ag]*r ]] && DRY_RUN=1
    previous="$argument"
  done
}

# --- variants ---------------------------------------------------------------------------

NUMBERS=() DIRECTORIES=()
STATES=() # of each variant: ready, ahead, behind, undecided, unconverted, none or unknown
STEPS=()  # of each variant: a number, or none or unknown
MOST=''   # the step that more than half of those with a checkpoint are at

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
      stop
      status=1
    fi
  done
  set +m
  CHILDREN=''
  return "$status"
}

stop() {
  [ -n "$CHILDREN" ] || return
  signal TERM
  signal CONT # what is stopped cannot end
  sleep 0.5
  signal KILL
}

signal() {
  local pid
  for pid in $CHILDREN $NOTICE; do
    kill "-$1" -- "-$pid" 2>/dev/null
  done
}

# --- storage ----------------------------------------------------------------------------

has() { command -v "$1" >/dev/null 2>&1; }

# All that is particular to a storage: LISTER lists the files whose paths begin with a prefix, one
# a line, and MISSING tells what it needs and is not here. A further storage is a case here, and an
# entry of STORAGES in trainers.py.
storage() { # path
  MISSING=''
  case "$1" in
    s3://*)
      LISTER=list_s3
      has aws || MISSING="aws is not here; install it to read s3:// checkpoints"
      ;;
    gs://*)
      LISTER=list_gs
      has gcloud || has gsutil ||
        MISSING="neither gcloud nor gsutil is here; install gcloud to read gs:// checkpoints"
      ;;
    /weka/*)
      LISTER=list_folder
      [ ! -d "$WEKA_MOUNT" ] || return 0
      LISTER=list_weka
      has aws || MISSING="aws is not here; install it to read /weka from outside"
      [ -n "${WEKA_ENDPOINT_URL:-}" ] && [ -n "${WEKA_PROFILE:-}" ] ||
        MISSING="cannot read /weka: run this where it is mounted, or set WEKA_ENDPOINT_URL and WEKA_PROFILE"
      ;;
  esac
}

need_storage() {
  local directory
  for directory in "${DIRECTORIES[@]}"; do
    storage "$directory"
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
  local path="${1#/weka/}" run
  cd "$WEKA_MOUNT" && ls -d "${path%%/*}/." >/dev/null || return # the bucket, which must be there
  if [[ $path =~ /step[0-9]*$ ]]; then
    list_run "${path%/*}" "$path"
    return
  fi
  can_read "${path%/*}" || return
  for run in "$path"*; do
    [ -f "$run" ] || list_run "$run" "$run/step"
  done
}

# The files of a run that tell which steps are complete, or that it cannot be read.
list_run() { # run, beginning of its steps' paths
  local step file files unseen="$1"
  for step in "$2"*/; do
    [ -d "$step" ] || break # nothing begins so
    unseen=''
    [ -x "$step" ] || unseen="$step"
    files=("$step"{.metadata.json,model_and_optim/.metadata,train/rank0.pt})
    case "$step" in
      *-hf/) files=("$step"config.json "$step"{model.safetensors,pytorch_model.bin}*) ;;
    esac
    for file in "${files[@]}"; do
      [ ! -e "$file" ] || printf '/weka/%s\n' "$file"
    done
    [ -z "$unseen" ] || break
  done
  [ -z "$unseen" ] || can_read "$unseen" || printf 'failed\t/weka/%s/step\n' "$1"
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
# OLMo-core's latest_checkpoint asks for; a conversion has its config.json before its weights.
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
        if (++parts[path] == 3) put("raw")
      next
    }
    file == "config.json" { config[path] = 1 }
    file ~ /^(model\.safetensors|pytorch_model\.bin)(\.index\.json)?$/ { weights[path] = 1 }
    config[path] && weights[path] && !done[path]++ { put("hf") }'
}

# Look up one prefix; what is found goes to $2.found, why nothing could be to $2.error.
lookup() {
  local attempt status
  storage "$1"
  printf 'failed\t%s\n' "$1" >"$2.found"
  for attempt in 1 2 3; do
    [ "$attempt" -eq 1 ] || sleep "$attempt"
    "$LISTER" "$1" 2>"$2.error" | checkpoints >"$2.part"
    status=$?
    [ "$status" -ne 1 ] || ! grep -q 'matched no objects' "$2.error" || status=0 # gcloud and gsutil
    if [ "$status" -eq 0 ]; then
      mv "$2.part" "$2.found"
      return
    fi
  done
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
  local prefix state step count=0
  prefixes >"$WORK/prefixes"
  start notice
  NOTICE="${CHILDREN# }" CHILDREN=''
  disown "$NOTICE" # bash would report that it was killed
  while IFS= read -r prefix; do
    start lookup "$prefix" "$WORK/$count"
    count=$((count + 1))
    [ $((count % LOOKUPS)) -ne 0 ] || finish
  done <"$WORK/prefixes"
  finish
  signal KILL
  NOTICE=''
  latest_steps >"$WORK/steps"
  {
    IFS= read -r MOST
    while IFS="$TAB" read -r state step; do
      STATES+=("$state") STEPS+=("$step")
    done
  } <"$WORK/steps"
}

NOTICE='' # the process that says what a slow lookup looks at

notice() {
  local count first
  sleep 2
  count=$(grep -c . "$WORK/prefixes")
  first=$(head -n 1 "$WORK/prefixes")
  [ "$count" -eq 1 ] || first="$first* and $((count - 1)) more"
  say "Looking up $first*" >&2
}

# The step that more than half of the variants with a checkpoint are at, if there is one; then the
# state and step of each variant.
latest_steps() {
  printf '%s\n' "${DIRECTORIES[@]}" | cat "$WORK"/*.found - |
    awk -F "$TAB" -v OFS="$TAB" -v kind="$KIND" -v wanted="$STEP" -v any="$ANY_STEP" '
      # Compared as text, since some awks cut numbers off at 2^31.
      function later(a, b) {
        return length(a) > length(b) || length(a) == length(b) && (a "") > (b "")
      }
      NF == 3 {
        if (wanted == "" || ($2 "") == (wanted ""))
          if (later($2, latest[$3, $1])) latest[$3, $1] = $2
      }
      NF == 2 && $2 ~ /\/step$/ { unknown[$2] = 1 }
      NF == 2 && $2 !~ /\/step$/ { failed[++failures] = $2 }
      NF == 1 {
        state[++variants] = "ready"
        step[variants] = latest[kind, $1]
        if (later(latest["raw", $1], latest[kind, $1])) {
          state[variants] = "unconverted"
          step[variants] = latest["raw", $1]
        }
        if (step[variants] == "") state[variants] = step[variants] = "none"
        for (i = 1; i <= failures; i++) if (index($1, failed[i]) == 1) unknown[$1 "/step"] = 1
        if (unknown[$1 "/step"]) state[variants] = step[variants] = "unknown"
        if (step[variants] ~ /^[0-9]/) { found++; count[step[variants]]++ }
      }
      END {
        for (one in count) if (2 * count[one] > found) most = one
        print most
        for (i = 1; i <= variants; i++) {
          if (any == "" && step[i] ~ /^[0-9]/) {
            if (most == "") state[i] = "undecided"
            else if (later(most, step[i])) state[i] = "behind"
            else if (later(step[i], most) && state[i] == "ready") state[i] = "ahead"
          }
          print state[i], step[i]
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
  warn "${words/STEPS/$low}: variant $(ranges "${numbers[@]}")"
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
    case "${STATES[i]}" in
      none | unknown) ;;
      unconverted) where="$where/step${STEPS[i]}" ;;
      *) where="$where/step${STEPS[i]}$SUFFIX" ;;
    esac
    printf "%-8s %-${width}s %-10s %s\n" "${NUMBERS[i]}" "${DIRECTORIES[i]##*/}" "${STEPS[i]}" "$where"
  done
}

show_findings() {
  local i found=0
  for i in "${!STATES[@]}"; do
    case "${STATES[i]}" in none | unknown | unconverted) ;; *) found=$((found + 1)) ;; esac
    ! is_ready "$i" || READY=$((READY + 1))
  done
  say "$found of ${#NUMBERS[@]} variants have a checkpoint${STEP:+ of step $STEP}${MOST:+, most of them at step $MOST}" >&2
  show_errors
  tell unknown 'Could not be looked up'
  tell none 'No complete checkpoint'
  tell unconverted 'Not converted to Hugging Face format' && show_conversion
  tell behind 'COUNT held back, at STEPS: they still train, or ended early'
  tell ahead 'COUNT ahead, at STEPS: submitted all the same'
  tell undecided 'COUNT at STEPS, and no step has more than half of them' &&
    fail "Nothing is submitted: take each variant's latest with --any-step, or one step with --step N"
  [ "$READY" -gt 0 ] || fail "There is nothing to submit"
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
      warn "A lookup failed: $(head -n 9 "$file")"
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

# --- submission -------------------------------------------------------------------------

SUBMITTED=() FAILED=()

submit() { # index of a variant
  if [ ${#TASKS[@]} -gt 0 ]; then
    evaluate "$1" "$MODEL_BACKEND" "${TASKS[@]}" || return
  fi
  if [ ${#HF_TASKS[@]} -gt 0 ]; then
    evaluate "$1" hf "${HF_TASKS[@]}" || return
  fi
}

evaluate() { # index of a variant, backend, tasks
  local index="$1" backend="$2" path line task command=()
  shift 2
  path=$(checkpoint "$index")
  line="$DASHBOARD$TAB$path$TAB$(printf '%s\n' "$@" | LC_ALL=C sort | cksum)"
  if [ -n "$RESUME" ] && grep -qxF "$line" "$RECORD"; then
    say "# submitted before: $path ($# tasks)"
    return
  fi
  is_there "$index" || return
  command=(olmo-cookbook-eval evaluate "$path" --dashboard "$DASHBOARD" --cluster "$CLUSTER"
    --model-backend "$backend" ${DRY_RUN:+--dry-run} ${EXTRA_ARGS[@]+"${EXTRA_ARGS[@]}"})
  say "+$(printf ' %q' "${command[@]}") --tasks ... ($# tasks)"
  for task in "$@"; do
    command+=(--tasks "$task")
  done
  start record "$line" "${command[@]}"
  finish
}

# A variant that still trains may have deleted its checkpoint since it was found.
is_there() { # index of a variant
  start lookup "${DIRECTORIES[$1]}/step${STEPS[$1]}" "$WORK/again"
  finish
  grep -qxF "${DIRECTORIES[$1]}$TAB${STEPS[$1]}$TAB$KIND" "$WORK/again.found" && return
  warn "$(checkpoint "$1") is not there any more"
  return 1
}

open_record() {
  printf '' >>"$RECORD" || fail "cannot record what is submitted in $RECORD; copy this script elsewhere"
  # A line cut short by a kill must not swallow the next one.
  [ -z "$(tail -c 1 "$RECORD")" ] || echo >>"$RECORD"
  [ ! -s "$RECORD" ] || [ -n "$RESUME$DRY_RUN" ] ||
    warn "This script ran before; --resume would skip what it submitted"
}

# Run a command and record its success, in the child: it outlives this script if that is killed.
record() { # line, command
  local line="$1"
  shift
  "$@" || return
  [ -n "$DRY_RUN" ] || printf '%s\n' "$line" >>"$RECORD"
}

# Two steps of a variant on one dashboard make the fit take either.
warn_of_other_step() { # index of a variant
  grep -F "$DASHBOARD$TAB${DIRECTORIES[$1]}/step" "$RECORD" | grep -vqF "$(checkpoint "$1")$TAB" &&
    warn "Variant ${NUMBERS[$1]}: another step is on dashboard $DASHBOARD already; a fit takes either"
}

summary() {
  say
  if [ -n "$DRY_RUN" ]; then
    say "Tried without submitting: ${#SUBMITTED[@]} of ${#NUMBERS[@]} variants"
  else
    say "Submitted: ${#SUBMITTED[@]} of ${#NUMBERS[@]} variants, dashboard $DASHBOARD"
  fi
  [ ${#SUBMITTED[@]} -eq 0 ] || say "  variant $(ranges "${SUBMITTED[@]}")"
  [ ${#FAILED[@]} -eq 0 ] || warn "Failed: variant $(ranges "${FAILED[@]}")"
  [ ${#SUBMITTED[@]} -eq ${#NUMBERS[@]} ] || [ -n "$DRY_RUN" ] ||
    say "For the others, once they are ready: bash $SCRIPT --resume, with the same options"
  say "Once the results are in: bash $SCRIPT --results"
}

interrupted() {
  trap '' INT TERM HUP
  set +m
  stop
  warn "Interrupted"
  [ -n "$LIST$RESULTS" ] || summary
  exit "$1"
}

heed_interrupts() {
  trap 'interrupted 130' INT
  trap 'interrupted 143' TERM
  trap 'interrupted 129' HUP
}

# --- results ----------------------------------------------------------------------------

results() {
  local dashboard prefix url
  dashboard=$(extra_option d dashboard)
  prefix=$(extra_option o remote-output-prefix)
  url="${prefix:-s3://ai2-llm/evaluation}/${dashboard:-$DASHBOARD}/"
  [[ $url == s3://* ]] ||
    fail "--results reads s3:// alone, not $url; copy its *metrics-all.jsonl files to a folder for" \
      "olmix-evalscript collect $GROUP_ID --results FOLDER"
  has aws || fail "aws is not here; install it to load results from $url"
  mkdir -p "$RESULTS_FOLDER" || fail "cannot make the folder $RESULTS_FOLDER; copy this script elsewhere"

  heed_interrupts
  say "Loading results from $url"
  start load_results "$url"
  finish || fail "Not all results could be loaded from $url; run this again to load the rest"
  show_results
}

# The last value of an option among the arguments for olmo-cookbook-eval, in any of the forms
# that it takes: -d X, -dX, -gdX, --dashboard X, --dashboard=X.
extra_option() { # letter, name
  local argument value='' next=''
  for argument in ${EXTRA_ARGS[@]+"${EXTRA_ARGS[@]}"}; do
    if [ -n "$next" ]; then
      [ "$next" = other ] || value="$argument"
      next=''
      continue
    fi
    case "$argument" in
      "--$2="*) value="${argument#*=}" ;;
      "--$2") next=this ;;
      --*=* | --add-bos-token | --dry-run | --use-gantry | --force-venv | --backfill) ;;
      --no-* | --use-hf-token | --vllm-for-mc | --compute-gold-bpb) ;;
      --vllm-use-v1-spec | --use-backend-in-run-name) ;;
      --*) next=other ;;
      -*)
        argument="${argument#-}"
        while [[ $argument == [agr]* ]]; do argument="${argument#?}"; done
        case "$argument" in
          "$1") next=this ;;
          "$1"*) value="${argument#?}" ;;
          ?) next=other ;;
        esac
        ;;
    esac
  done
  printf '%s' "$value"
}

# Make the folder what the dashboard is. Without --exact-timestamps, aws keeps a file that was
# replaced by one of the same size. It writes to a file of another name first, and renames that.
load_results() { # URL
  aws s3 sync "$1" "$RESULTS_FOLDER" --exclude '*' --include '*metrics-all.jsonl' \
    --exact-timestamps --delete --no-progress --cli-connect-timeout 20 |
    awk '/^download: / { new++ } END { print new + 0 " new or changed files" }'
}

show_results() {
  local counts count complete numbers total=$((${#TASKS[@]} + ${#HF_TASKS[@]}))
  counts=$(results_of_variants | count_results)
  complete=$(grep -c "^$total " <<<"$counts")
  say "$complete of ${#NUMBERS[@]} variants have results of all tasks ($total)${STEP:+ at step $STEP}"
  awk '{ print $1 }' <<<"$counts" | grep -vx "$total" | sort -rnu | while IFS= read -r count; do
    numbers=$(awk -v count="$count" '$1 == count { print $2 }' <<<"$counts")
    warn "Results of $count of $total tasks: variant $(ranges "$numbers")"
  done
  printf 'olmix-evalscript collect %q --results %q\n' "$GROUP_ID" "$RESULTS_FOLDER"
  [ "$complete" -eq ${#NUMBERS[@]} ]
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

# Of each variant, how many of the tasks the step with the most has results of, and its number.
# A task is named by its alias, or else by task_name; a line where that is not plain, or that is
# cut off, counts for nothing. Aggregates of several tasks are none.
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
    function put() { if (number != "") print most + 0, number }
    $1 == "task" { wanted[$2]; next }
    $1 == "variant" { put(); number = $2; most = 0; next }
    $1 == "step" { step = $2; next }
    !is_whole() || /"num_tasks"[ \t]*:[ \t]*[1-9]/ { next }
    {
      task = text("alias")
      if (task == "") task = text("task_name")
      if (!(task in wanted) || seen[number, step, task]++) next
      if (++count[number, step] > most) most = count[number, step]
    }
    END { put() }'
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
  heed_extra_args
  choose
  [ -z "$RESULTS" ] || {
    results
    exit
  }
  [ -n "$LIST" ] || has olmo-cookbook-eval ||
    fail "olmo-cookbook-eval is not here; run this in the olmo-cookbook environment"
  need_storage

  WORK=$(mktemp -d) || fail "cannot make a temporary folder; set TMPDIR"
  trap 'rm -rf "$WORK"' EXIT
  heed_interrupts
  find_steps
  if [ -n "$LIST" ]; then
    show_table
    show_findings
    [ "$READY" -eq ${#NUMBERS[@]} ]
    return
  fi
  show_findings

  open_record
  for i in "${!NUMBERS[@]}"; do
    is_ready "$i" || continue
    say "[${NUMBERS[i]}] ${DIRECTORIES[i]##*/}, step ${STEPS[i]}"
    warn_of_other_step "$i"
    if submit "$i"; then
      SUBMITTED+=("${NUMBERS[i]}")
    else
      FAILED+=("${NUMBERS[i]}")
      warn "Variant ${NUMBERS[i]} was not submitted"
    fi
  done
  summary
  [ ${#SUBMITTED[@]} -eq ${#NUMBERS[@]} ]
  exit # here, lest bash read on in a file that was edited meanwhile
}

main "$@"
