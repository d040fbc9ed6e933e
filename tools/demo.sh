#!/bin/bash
# Take a demo swarm from its snapshot to the files for the fit, and show each command with what it
# prints. Nothing is asked of Beaker, a storage or the network; tests/olmo_cookbook_eval.py stands in
# for olmo-cookbook-eval, and the results are invented.
#
# Usage: bash tools/demo.sh FOLDER
# The folder gets all that is written; olmix-evalscript must be on PATH.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
FOLDER="$1"
RUN=verify-tokens-140m-58362402

main() {
  mkdir -p "$FOLDER/bin"
  cd "$FOLDER"
  ln -sfn "$HERE/fixtures" fixtures
  ln -sfn "$HERE/fixtures/58362402-results" results
  printf '#!/bin/sh\nexec python3 "%s" "$@"\n' "$HERE/tests/olmo_cookbook_eval.py" >bin/olmo-cookbook-eval
  chmod +x bin/olmo-cookbook-eval
  cat >env.sh <<END
export PATH="$PWD/bin:$(dirname "$(command -v olmix-evalscript)"):\$PATH"
export WEKA_MOUNT="$PWD/weka" COOKBOOK_CALLS="$PWD/calls"
END
  # shellcheck disable=SC1091
  . ./env.sh
  save_checkpoints

  run 'olmix-evalscript generate 58362402 --snapshot fixtures/58362402.yaml \
    --config results/tasks.yaml --checkpoint-root /weka/demo/checkpoints -o olmix.sh'
  run "sed -n '/^RUNS/,/1]/p' olmix.sh"
  run 'bash olmix.sh --list'
  run 'bash olmix.sh --yes --only 0-1'
  printf '# With the results of all eight, which are invented here:\n'
  run 'olmix-evalscript collect 58362402 --snapshot fixtures/58362402.yaml \
    --config results/tasks.yaml --results results --priors results/priors.yaml -o fit'
  printf '# To go on by hand: cd %s && . ./env.sh\n' "$FOLDER"
}

# Show a command and what it prints; some exit with 1 by design.
run() {
  printf '$ %s\n' "$1"
  eval "$1" 2>&1 </dev/null || true
}

# Complete checkpoints at 22100 for all but two: 6 is behind, and 7 is still being written.
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
