#!/bin/bash
# The whole way of a demo swarm, from its snapshot to the files for the fit, with what each command
# prints. Nothing is asked of Beaker, a storage or the network; tests/olmo_cookbook_eval.py stands in
# for olmo-cookbook-eval.
#
# Usage: bash tools/demo.sh FOLDER
# The folder gets all that is written; olmix-evalscript must be on PATH.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
FOLDER="$1"
GROUP=58362402
RUN=verify-tokens-140m-$GROUP
ROOT=/weka/demo/checkpoints
SCRIPT=olmix-$GROUP.sh

main() {
  mkdir -p "$FOLDER/bin"
  cd "$FOLDER"
  ln -sfn "$HERE/fixtures" fixtures
  printf '#!/bin/sh\nexec python3 "%s" "$@"\n' "$HERE/tests/olmo_cookbook_eval.py" >bin/olmo-cookbook-eval
  chmod +x bin/olmo-cookbook-eval
  export PATH="$PWD/bin:$PATH" COOKBOOK_CALLS="$PWD/calls" WEKA_MOUNT="$PWD/weka"
  save_checkpoints
  cat >launch.yaml <<'END'
eval_tasks: ["arc_easy:rc::olmes:full", "hellaswag:rc::olmes:full", "mbpp:3shot:bpb::none"]
END
  ln -sf fixtures/$GROUP.yaml snapshot.yaml
  ln -sfn fixtures/$GROUP-results results
  ln -sf fixtures/$GROUP-results/priors.yaml priors.yaml

  say "1. A swarm's group ID becomes a script (here Beaker's answers are in a snapshot):"
  run olmix-evalscript generate $GROUP --snapshot snapshot.yaml --config launch.yaml --checkpoint-root $ROOT -o $SCRIPT
  run head -n 3 $SCRIPT
  say "2. The script finds checkpoints. Variant 6 is behind; the last save of variant 7 is half-written:"
  run_to 3 bash $SCRIPT --list
  say "3. It submits what is ready, here to a stand-in for olmo-cookbook-eval:"
  run bash $SCRIPT --only 0-1
  say "4. With results of all 8 variants (invented for this demo), it becomes what olmix fit reads:"
  run olmix-evalscript collect $GROUP --snapshot snapshot.yaml --config launch.yaml --results results --priors priors.yaml -o fit
  run head -n 2 fit/ratios.csv
  run head -n 2 fit/metrics.csv
  say "All files are in $FOLDER"
}

say() { printf '%s\n' "$*"; }

# Show a command and what it prints; some exit with 1 by design.
run() {
  printf '$ %s\n' "$*"
  "$@" 2>&1 || true
}

# Show a command and the last lines of what it prints.
run_to() {
  local lines="$1"
  shift
  printf '$ %s\n...\n' "$*"
  ("$@" 2>&1 || true) | tail -n "$lines"
}

# Complete checkpoints at 22100 for all but two: one is behind, and one is still being written.
save_checkpoints() {
  local number step
  for number in 0 1 2 3 4 5 6 7; do
    for step in 22000 22100; do
      [ "$number $step" = "6 22100" ] || save "$number" "$step"
    done
  done
  rm "weka/demo/checkpoints/$RUN-0007/step22100/.metadata.json"
}

save() {
  local folder="weka/demo/checkpoints/$RUN-000$1/step$2"
  mkdir -p "$folder/train" "$folder/model_and_optim"
  touch "$folder/train/rank0.pt" "$folder/model_and_optim/.metadata" "$folder/.metadata.json"
}

main
