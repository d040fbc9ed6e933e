#!/bin/bash
#@begin header
# Evaluate the 1 variant of swarm example (group 58362402) on 1 task.
#@end header

[ "${BASH_SOURCE-}" = "$0" ] || { echo "Run this as: bash FILE" >&2; exit 2; }
#@begin settings
GROUP_ID='58362402' DASHBOARD='olmix-58362402'
COLLECT="olmix-evalscript collect $GROUP_ID"
CLUSTER='aus' PRIORITY='normal' UNFINISHED=''
EVALUATOR='olmo-cookbook-eval' MODEL_BACKEND='olmo_core' SUFFIX=''
NEEDED='/.metadata.json /model_and_optim/.metadata /train/rank0.pt' # all in a complete stepN
EVAL_ARGS=()
ROOT='s3://ai2-llm/checkpoints/kylel'
RUNS=([0]="$ROOT/example-58362402-0000") # [variant]=the folder of its checkpoints
list_files() { list_s3 "$ROOT/example-58362402-0000" --delimiter __; } # all tensors as one entry
TASKS=(arc_easy:rc::olmes:full)
#@end settings

# --- From here on all scripts for this storage, backend and evaluator are the same. ---------------
RECORD="$0.submitted" # a line for each successful submission; delete one to submit it again
LOCK="$RECORD.lock"   # a folder, while a run of this script submits
OWN="$LOCK/$$@$(uname -n)" # our file in it
LOGS="$0.logs"        # what $EVALUATOR says of each variant
set -o pipefail

warn() { printf '%s\n' "$*" >&2; }
fail() { warn "$*"; exit 1; }
refuse() { warn "$*; try --help"; exit 2; }

parse_options() {
  AGAIN='' DRY_RUN='' LIST='' YES='' JOBS=1 ONLY='' STEP=''
  while [ $# -gt 0 ]; do
    case "$1" in
      --again) AGAIN=1 ;;
      --dry-run) DRY_RUN=1 ;;
      --list) LIST=1 ;;
      --yes) YES=1 ;;
      --jobs) JOBS="${2:-nothing}" && shift ;;
      --only) parse_only "$2" && shift ;;
      --step) STEP="${2:-nothing}" && shift ;;
      -h | --help) exec sed -n '2,/^$/s/^# \{0,1\}//p' "$0" ;;
      *) refuse "unknown option $1" ;;
    esac
    shift
  done
  [[ $JOBS =~ ^[1-9][0-9]?$ ]] || refuse "--jobs needs a number from 1 to 99, not '$JOBS'"
  [[ ${STEP:-1} =~ ^[1-9][0-9]{0,14}$ ]] || refuse "--step needs a number above 0, not '$STEP'"
}

parse_only() {
  local part n
  [[ ,$1 =~ ^(,[0-9]{1,6}(-[0-9]{1,6})?)+$ ]] || refuse "--only needs a list like 0,3,5-9, not '$1'"
  for part in ${1//,/ }; do
    [ "${part%-*}" -le "${part#*-}" ] || refuse "--only: $part is not a range"
    for ((n = 10#${part%-*}; n <= 10#${part#*-}; n++)); do
      [ -n "${RUNS[n]}" ] || refuse "there is no variant $n"
      ONLY="$ONLY $n "
    done
  done
}
#@begin s3 weka

list_s3() { # beginning of paths, options for aws
  local path="${1#s3://}"
  aws s3api list-objects-v2 --bucket "${path%%/*}" --prefix "${path#*/}" "${@:2}" \
    --output text --query '[Contents[].[Key], CommonPrefixes[].[Prefix]][]' |
    sed "s|^|s3://${path%%/*}/|"
}
#@end s3 weka
#@begin gs

list_gs() { # beginning of paths
  gcloud storage ls "$1**" 2>"$WORK/errors" && return
  grep -q 'matched no objects' "$WORK/errors" && return
  cat "$WORK/errors" >&2
  return 1
}
#@end gs
#@begin weka

# Weka is read where it is mounted, or else through its S3 interface.
list_weka() { # beginning of paths
  local path="${WEKA_MOUNT:-/weka}/${1#/weka/}" hint='set it, or run this where /weka is mounted'
  if [ ! -d "${WEKA_MOUNT:-/weka}" ]; then
    list_s3 "s3://${1#/weka/}" --endpoint-url "${WEKA_ENDPOINT_URL:?$hint}" \
      --profile "${WEKA_PROFILE:?$hint}" | sed 's|^s3:/|/weka|'
    return
  fi
  ls "${path%/*}/." >/dev/null || return
  compgen -G "$path*" >/dev/null || return 0
  LC_ALL=C find -L "$path"* -maxdepth 3 2>"$WORK/errors" | sed "s|^${WEKA_MOUNT:-/weka}/|/weka/|"
  [ "${PIPESTATUS[1]}" -eq 0 ] || return
  ! grep -v 'No such file or directory' "$WORK/errors" >&2 # a trainer may delete meanwhile
}
#@end weka

# Write each variant's steps but 0, which is untrained, in order, and what each lacks.
find_steps() {
  local n
  warn "Listing the checkpoints in $ROOT"
  for n in "${!RUNS[@]}"; do printf '%s\t%s\n' "$n" "${RUNS[n]}"; done >"$WORK/files"
  list_files >>"$WORK/files" || fail "The checkpoints could not be listed: see above"
  awk -F '\t' -v needed="$NEEDED" '
    BEGIN { count = split(needed, file, " ") }
    NF == 2 { variant[$2] = $1; next }
    #@begin converted
    { sub(/-hf\/(pytorch_)?model[.](safetensors|bin)([.]index[.]json)?$/, "-hf/model.safetensors") }
    #@end converted
    { has[$0] }
    { for (run = $0; !(run in variant) && sub("/[^/]*$", "", run);) continue }
    { rest = substr($0, length(run) + 1) }
    match(rest, /^\/step[1-9][0-9]*/) { steps[run substr(rest, 1, RLENGTH)] = run }
    END {
      for (step in steps) {
        lacks = ""
        for (i = 1; i <= count; i++) if (!((step file[i]) in has)) lacks = lacks " " file[i]
        print variant[steps[step]], substr(step, length(steps[step]) + 6) lacks
      }
    }' "$WORK/files" | sort -n -k 2 >"$WORK/steps" || fail "Cannot write to $WORK: set TMPDIR"
}

# STEP, unless given, is the latest of more than half of ALL variants. TODO is ready, not submitted.
choose_step() {
  local n step first more count found complete=() latest=() lacks=()
  while read -r n step first more; do
    if [ -z "$first" ]; then
      complete[n]="${complete[n]} $step " latest[n]="$step" lacks[n]=''
    else
      lacks[n]="step$step${first%%/*} lacks ${first#*/}${more:+ and more}"
    fi
  done <"$WORK/steps"
  read -r count step < <(printf '%s\n' "${latest[@]}" | sort | uniq -c | sort -rn)
  [ -n "$STEP" ] || [ $((2 * count)) -le "$TOTAL" ] || STEP="$step"
  for n in "${!RUNS[@]}"; do
    [[ -z $ONLY || $ONLY == *" $n "* ]] || continue
    found="${lacks[n]:-latest step: ${latest[n]:-none}}"
    CHECKPOINT[n]="${RUNS[n]}" STATUS[n]="held back, $found"
    [[ ${complete[n]} == *" ${STEP:-none} "* ]] || continue
    CHECKPOINT[n]="${RUNS[n]}/step$STEP$SUFFIX" STATUS[n]='submitted before'
    #@begin one_call
    is_recorded "${CHECKPOINT[n]}" "$MODEL_BACKEND" "${TASKS[@]}" && continue
    #@end one_call
    #@begin hf_tasks
    is_recorded "${CHECKPOINT[n]}" "$MODEL_BACKEND" "${TASKS[@]}" &&
      is_recorded "${CHECKPOINT[n]}" hf "${HF_TASKS[@]}" && continue
    #@end hf_tasks
    [ -n "$AGAIN" ] || [ ! -e "$MARKS/$n.maybe" ] || { STATUS[n]=$MAYBE$MARKS/$n.maybe; continue; }
    TODO+=("$n") STATUS[n]='ready'
    [ "$found" = "latest step: $STEP" ] || STATUS[n]="ready, but $found"
  done
}

show_list() {
  local n
  for n in "${!STATUS[@]}"; do printf '%s\t%s\t%s\n' "$n" "${CHECKPOINT[n]}" "${STATUS[n]}"; done
}
group() { awk -F'\t' '{ v[$3] = v[$3] " " $1 } END { for (s in v) print "variant" v[s] ": " s }'; }

# One run at a time. The lock holds a file named by process and host, with the workers in it.
lock() {
  local old processes
  if ! mkdir "$LOCK" 2>/dev/null; then
    old=$(echo "$LOCK"/*"@${OWN##*@}")
    processes="$(grep -s . "$old" | tr '\n' ,)$(basename "${old%@*}")"
    { { ps -p $$ && ! ps -p "$processes"; } >/dev/null 2>&1 && mv "$old" "$OWN" 2>/dev/null; } ||
      fail "Another run submits, or rm -r '$LOCK'"
  fi
  trap 'rm -rf "$WORK" "$LOCK"' EXIT
  : >"$OWN" || exit
}

# A line of the record: dashboard, checkpoint, backend, and a checksum of arguments and tasks.
record_line() { # checkpoint, backend, tasks
  local sum
  sum=$({ echo "${EVAL_ARGS[*]}" && printf -- '--tasks=%s\n' "${@:3}" | LC_ALL=C sort -u; } | cksum)
  printf '%s\t%s\t%s\t%s\n' "$DASHBOARD" "$1" "$2" "$sum"
}
is_recorded() { [ -z "$AGAIN$DRY_RUN" ] && grep -qsxFe "$(record_line "$@")" "$WORK/record"; }

evaluate() { # slot, checkpoint, backend, tasks
  local tasks=("${@:4}") args=("${EVAL_ARGS[@]}" ${DRY_RUN:+--dry-run})
  #@begin hf_tasks
  ! is_recorded "${@:2}" || return 0
  #@end hf_tasks
  #@begin olmo-cookbook
  [ "$JOBS" -eq 1 ] || args+=(--env-name "oe-eval-venv-$1") # two calls would race for one
  "$EVALUATOR" evaluate "$2" --dashboard "$DASHBOARD" --cluster "$CLUSTER" \
    --priority "$PRIORITY" --model-backend "$3" "${args[@]}" "${tasks[@]/#/--tasks=}" || return
  #@end olmo-cookbook
  #@begin olmo-eval
  local run="${2%/*}" # an override is one of the harness if it follows it
  "$EVALUATOR" beaker launch --name "${run##*/}_${2##*/}" --model "$2" --group "$DASHBOARD" \
    --cluster "$CLUSTER" --priority "$PRIORITY" --store --yes --no-follow --harness default \
    --override "provider.kind=$3" "${args[@]}" "${tasks[@]/#/--task=}" || return
  #@end olmo-eval
  [ -n "$DRY_RUN" ] || record_line "${@:2}" >>"$RECORD" || return 100
}
#@begin hf_tasks

evaluate_both() { # slot, variant
  evaluate "$1" "${CHECKPOINT[$2]}" "$MODEL_BACKEND" "${TASKS[@]}" &&
    evaluate "$1" "${CHECKPOINT[$2]}" hf "${HF_TASKS[@]}"
}
#@end hf_tasks

# Submit every JOBS-th variant. A mark says that a call began and is not known to have ended.
work() { # slot
  local i n mark log what
  trap '' INT HUP
  for ((i = $1 - 1; i < ${#TODO[@]}; i += JOBS)); do
    n="${TODO[i]}" mark="$MARKS/${TODO[i]}.maybe" log="$LOGS/${TODO[i]}-$STARTED.log"
    what="$MAYBE$mark"
    { [ ! -e "$WORK/stop" ] && kill -0 $$ && echo "$what" | tee "$WORK/$n" >"$mark"; } || break
    #@begin one_call
    evaluate "$1" "${CHECKPOINT[n]}" "$MODEL_BACKEND" "${TASKS[@]}" </dev/null >>"$log" 2>&1
    #@end one_call
    #@begin hf_tasks
    evaluate_both "$1" "$n" </dev/null >>"$log" 2>&1
    #@end hf_tasks
    case $? in
      0) what="$DONE" ;;
      ? | ?? | 12[67]) echo failed >>"$log" && what=failed ;; # else killed, or the disk is full
    esac
    if [[ $what == maybe* ]]; then : >"$WORK/stop"; else rm "$mark"; fi
    echo "$what" >"$WORK/$n"
    echo "[$((i + 1))/${#TODO[@]}] variant $n, step $STEP: $what"
    [ "$what" = "$DONE" ] || tail -n 5 "$log" | LC_ALL=C tr -cd '\n\t -~' | sed 's/^/    /' >&2
  done
}

# On a first signal the calls under way end and are recorded; another one, later, kills them.
# shellcheck disable=SC2046,SC2329
stop() {
  : >"$WORK/stop"
  warn "Stopping after the calls under way; once more, after 2 s, kills them"
  [ $((SECONDS - ${STOPPED:=$SECONDS})) -lt 2 ] || kill -KILL -- $(jobs -pr | sed 's/^/-/')
}

submit_all() {
  local slot answer count=${#TODO[@]}
  [ -z "$UNFINISHED" ] || warn "$UNFINISHED: step $STEP may not be their last"
  if [ "$count" -gt 0 ] && [ -z "$YES$DRY_RUN" ] && [ -t 0 ]; then
    warn "Submit $count of $TOTAL variants at step $STEP to $CLUSTER, dashboard $DASHBOARD? [y/N]"
    read -r answer
    [[ $answer == [yY]* ]] || fail "Nothing was submitted"
  fi
  [ "$count" -eq 0 ] || [ -n "$DRY_RUN" ] || printf '\n# %s\n' "$STARTED" >>"$RECORD" || exit
  trap '' PIPE TSTP TTIN TTOU
  trap stop INT TERM HUP
  set -m # a process group for each worker, so that Ctrl-C reaches this script alone
  for ((slot = 1; slot <= JOBS && slot <= count; slot++)); do
    work "$slot" &
    echo "$!" >>"$OWN"
  done
  set +m
  until wait; do :; done
}

summary() {
  local n count rest
  for n in "${TODO[@]}"; do [ ! -s "$WORK/$n" ] || STATUS[n]=$(<"$WORK/$n"); done
  count=$(show_list | grep -c $'\t'"$DONE")
  echo "$count of ${#STATUS[@]} variants $DONE at step $STEP, dashboard $DASHBOARD; logs: $LOGS"
  show_list | grep -v $'\t'"$DONE" | group >&2
  [ "$count" = 0 ] || [ -n "$DRY_RUN" ] || echo "After the evaluations: $COLLECT --step $STEP"
  rest=$(show_list | grep -ve $'\t'"$DONE" -e 'maybe submitted' | cut -f 1 | paste -s -d , -)
  [ -n "$rest" ] || exit $((count < ${#STATUS[@]}))
  fail "To submit the rest, once it is ready: bash $0 --step $STEP --only $rest${AGAIN:+ --again}"
}

main() {
  parse_options "$@"
  CHECKPOINT=() DONE=submitted MARKS="$LOGS" STATUS=() STOPPED='' TODO=() TOTAL=${#RUNS[@]}
  MAYBE='maybe submitted: look on Beaker, then rm ' # and the mark
  STARTED=$(date +%Y%m%d-%H%M%S) WORK=$(mktemp -d) || exit
  [ -z "$DRY_RUN" ] || DONE='passed the dry run' MARKS="$WORK"
  trap 'rm -rf "$WORK"' EXIT
  if [ -z "$LIST" ]; then
    command -v "$EVALUATOR" >/dev/null || fail "There is no $EVALUATOR: activate its environment"
    mkdir -p "$LOGS" || exit
    lock
  fi
  [ -e "$RECORD" ] || warn "There is no record yet, so nothing counts as submitted: $RECORD"
  [ ! -e "$RECORD" ] || tr -d '\r' <"$RECORD" >"$WORK/record" || fail "Cannot read $RECORD"
  find_steps
  choose_step
  warn "Step: ${STEP:-none is the latest of more than half of all $TOTAL variants}"
  if [ -n "$LIST" ]; then
    if [ -t 1 ]; then show_list | sed "s|$ROOT/||" | tr '\t' ' '; else show_list; fi
    exit $(($(show_list | grep -ce 'held back' -e "$MAYBE") > 0))
  fi
  show_list | grep -v $'\tready$' | group >&2
  [ -n "$STEP" ] || fail "Nothing is submitted. Wait, or choose a step with --step"
  submit_all
  summary
}

main "$@"
