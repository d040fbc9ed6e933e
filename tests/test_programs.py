"""What a task executes in the end, whatever starts it, and whatever merely mentions it."""

from __future__ import annotations

import shlex
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmix_evalscript.command import parse_trainer
from olmix_evalscript.errors import TrainerCommandError
from olmix_evalscript.model import TrainerRun

RUN = TrainerRun("olmix", "run-58362402-0000", "58362402", "ai2/jupiter", "kylel", weka=True)
OPTIONS = ["-n", RUN.run_name, "-g", "58362402", "-c", "ai2/jupiter", "-u", "KYLEL", "-w", "True"]
SCRIPT = "olmix/launch/train.py"
COMMAND = [SCRIPT, "train", *OPTIONS]
TEXT = shlex.join(COMMAND)
ARGS = shlex.join(OPTIONS)
ENTRY = ["bash", "/gantry/entrypoint.sh"]

#: One form a row: the words of a task that trains RUN.
TRAINS: dict[str, list[str]] = {
    "gantry": [*ENTRY, "python", *COMMAND],
    "gantry, torchrun by hand": [*ENTRY, "torchrun", "--nproc-per-node=8", *COMMAND],
    "OLMo-core's entry point": ["bash", "/olmo-core/entrypoint.sh", *COMMAND],
    "the entry point itself": ["/gantry/entrypoint.sh", "python", *COMMAND],
    "gantry, one text": [*ENTRY, f"python {TEXT}"],
    "gantry's bash method": [*ENTRY, "cd", "olmix", "&&", "python", *COMMAND],
    "gantry's bash method, a pipe": [*ENTRY, "python", *COMMAND, "|", "tee", "log"],
    "gantry's bash method, a semicolon": [*ENTRY, "set", "-e;", "python", *COMMAND],
    "gantry, bash -c": [*ENTRY, "bash", "-c", f"python {TEXT}"],
    "the script alone": COMMAND,
    "the script below a folder": [f"/workspace/src/{SCRIPT}", *COMMAND[1:]],
    "a path with dots": ["python", f"./x/../{SCRIPT}", *COMMAND[1:]],
    "python with flags": ["python3.11", "-u", "-X", "faulthandler", "-W", "ignore", *COMMAND],
    "python with a long flag": ["python", "--check-hash-based-pycs", "never", *COMMAND],
    "python with joined flags": ["python", "-uB", "-Wignore", *COMMAND],
    "a module": ["python", "-m", "olmix.launch.train", *COMMAND[1:]],
    "a module behind joined flags": ["python", "-um", "olmix.launch.train", *COMMAND[1:]],
    "assignments": ["A=1", "B=2 3", "python", *COMMAND],
    "env": ["env", "-u", "B", "A=1", "python", *COMMAND],
    "env -i": ["/usr/bin/env", "-i", "PATH=/bin", "python", *COMMAND],
    "env -S, joined": ["env", f"-Spython {TEXT}"],
    "script -qc": ["script", "-qec", f"python {TEXT}", "/dev/null"],
    "torchrun, a joined module": ["torchrun", "-molmix.launch.train", *COMMAND[1:]],
    "arithmetic": ["bash", "-c", f"((x = 1 << 2))\npython {TEXT}"],
    "quotes in a substitution": ["bash", "-c", f"y=${{x#'}}'}}; python {TEXT}"],
    "behind a sourced file": ["bash", "-c", f"source env.sh && python {TEXT}"],
    "behind a failure that exits": ["bash", "-c", f"cd x || exit 1; python {TEXT}"],
    "behind a failure that says why it exits": [
        "bash",
        "-c",
        f'cd /workspace || {{ echo "no workspace"; exit 1; }}\npython {TEXT}',
    ],
    "behind a failure that exits, on lines": [
        "bash",
        "-c",
        f"true ||\n{{\n  echo a\n  exit 1\n}}\npython {TEXT}",
    ],
    "if no failure exits": ["bash", "-c", f"cd x || {{ echo a; exit 1; }} && python {TEXT}"],
    "behind a test that exits": [
        "bash",
        "-c",
        f'[ -n "" ] && {{ echo a; exit 1; }}\npython {TEXT}',
    ],
    "behind a group and a failure that exits": [
        "bash",
        "-c",
        f"true && {{ echo; }} || {{ exit 1; }}; python {TEXT}",
    ],
    "behind another shell's exit": ["bash", "-c", f"(exit 1); python {TEXT}"],
    "behind a job's exit": ["bash", "-c", f"exit 1 & python {TEXT}"],
    "behind a group's exit as a job": ["bash", "-c", f"{{ exit 1; }} & python {TEXT}"],
    "behind a job's exec": ["bash", "-c", f"exec true & python {TEXT}"],
    "behind a loop and an exit as a job": [
        "bash",
        "-c",
        f"{{ while true; do break; done; exit; }} & python {TEXT}",
    ],
    "behind a pipeline's exit": ["bash", "-c", f"exit 1 | cat; python {TEXT}"],
    "behind a group's exit in a pipeline": ["bash", "-c", f"{{ exit 1; }} | cat; python {TEXT}"],
    "behind a pipeline's exec": ["bash", "-c", f"exec true | cat; python {TEXT}"],
    "behind a pipeline that ends in an exit": [
        "bash",
        "-c",
        f"cat x | {{ read x; exit 1; }}; python {TEXT}",
    ],
    "behind exec with a named descriptor": ["bash", "-c", f"exec {{fd}}>/tmp/l; python {TEXT}"],
    "behind a case with a reserved word": [
        "bash",
        "-c",
        f"case x in done) exit 1;; esac; python {TEXT}",
    ],
    "behind an array": ["bash", "-c", f"x=(exit 1); x+=(a\nb); python {TEXT}"],
    "behind a function of a subshell": ["bash", "-c", f"f() (exit 1); python {TEXT}"],
    "a timed group": ["bash", "-c", f"time {{ python {TEXT}; }}"],
    "a condition": ["bash", "-c", f"if ! python {TEXT}; then exit 1; fi"],
    "a pipeline's folder ends": [
        "bash",
        "-c",
        f"cd x | cat; cd olmix; python launch/train.py train {ARGS}",
    ],
    "an unknown program that quotes it": ["bash", "-c", f"notify 'python {TEXT}'; python {TEXT}"],
    "behind exec with a file": ["bash", "-c", f"exec > log; python {TEXT}"],
    "gantry's bash method, joined": [*ENTRY, "cd", "olmix;", "python", *COMMAND],
    "gantry's bash method, into a file": [*ENTRY, "python", *COMMAND, ">log"],
    "env -S": ["env", "-S", f"python {TEXT}"],
    "env --chdir": ["env", "--chdir=olmix/launch", "python", "train.py", *COMMAND[1:]],
    "env -C": ["env", "-C", "olmix", "python", "launch/train.py", *COMMAND[1:]],
    "exec": ["bash", "-c", f"exec python {TEXT}"],
    "exec -a": ["bash", "-c", f"exec -a trainer python {TEXT}"],
    "nohup": ["nohup", "python", *COMMAND],
    "time": ["bash", "-c", f"time python {TEXT}"],
    "GNU time": ["/usr/bin/time", "-v", "-o", "times", "python", *COMMAND],
    "timeout": ["timeout", "23h", "python", *COMMAND],
    "timeout with options": ["timeout", "-k", "30", "--signal=INT", "23h", "python", *COMMAND],
    "nice": ["nice", "-n", "5", "python", *COMMAND],
    "stdbuf": ["stdbuf", "-oL", "-e", "0", "python", *COMMAND],
    "taskset": ["taskset", "0xff", "python", *COMMAND],
    "numactl": ["numactl", "--cpunodebind=0", "-m", "0", "python", *COMMAND],
    "setsid": ["setsid", "-w", "python", *COMMAND],
    "tini": ["tini", "-s", "--", "python", *COMMAND],
    "srun": ["srun", "-n", "1", "--gpus-per-node", "8", "--mem=0", "python", *COMMAND],
    "mpirun": ["mpirun", "-np", "8", "--hostfile", "hosts", "python", *COMMAND],
    "uv run": ["uv", "run", "--extra", "gpu", "python", *COMMAND],
    "uv run, a script": ["uv", "run", "--no-sync", *COMMAND],
    "uv run -m": ["uv", "run", "-m", "olmix.launch.train", *COMMAND[1:]],
    "uv run --": ["uv", "run", "--", "python", *COMMAND],
    "uv --directory": ["uv", "--directory", "olmix", "run", "launch/train.py", *COMMAND[1:]],
    "conda run": ["conda", "run", "--no-capture-output", "-n", "env", "python", *COMMAND],
    "micromamba run": ["micromamba", "run", "-p", "/opt/env", "python", *COMMAND],
    "poetry run": ["poetry", "run", "python", *COMMAND],
    "torchrun": ["torchrun", "--nproc-per-node", "8", *COMMAND],
    "torchrun, underscores": ["torchrun", "--nproc_per_node", "8", "--nnodes=2", *COMMAND],
    "torchrun -m": ["torchrun", "--standalone", "-m", "olmix.launch.train", *COMMAND[1:]],
    "torchrun --no-python": ["torchrun", "--nproc-per-node=8", "--no-python", "python", *COMMAND],
    "torch.distributed.run": ["python", "-m", "torch.distributed.run", "--nnodes", "1", *COMMAND],
    "accelerate": ["accelerate", "launch", "--num_processes", "8", *COMMAND],
    "deepspeed": ["deepspeed", "--num_gpus", "8", *COMMAND],
    "a profiler": ["python", "-m", "cProfile", "-o", "out", *COMMAND],
    "bash -c": ["bash", "-c", f"python {TEXT}"],
    "sh -c": ["/bin/sh", "-c", f"python {TEXT}"],
    "bash -lc": ["bash", "-lc", f"set -ex\npython {TEXT}"],
    "bash -o pipefail -c": ["bash", "-e", "-o", "pipefail", "-c", f"python {TEXT} 2>&1 | tee x"],
    "bash -euo pipefail -c": ["bash", "-euo", "pipefail", "-c", f"python {TEXT}"],
    "bash --norc -c": ["bash", "--norc", "-c", f"python {TEXT}"],
    "bash -c in bash -c": ["bash", "-c", f"bash -c {shlex.quote('python ' + TEXT)}"],
    "three shells deep": [
        "bash",
        "-c",
        f"sh -c {shlex.quote('bash -lc ' + shlex.quote('torchrun ' + TEXT))}",
    ],
    "eval": ["bash", "-c", f"eval {shlex.quote('python ' + TEXT)}"],
    "su -c": ["su", "root", "-c", f"python {TEXT}"],
    "a continued line": ["bash", "-c", f"python {SCRIPT} \\\n  train \\\n  {ARGS}"],
    "train in quotes": ["bash", "-c", f"python '{SCRIPT}' \"train\" {ARGS}"],
    "cd and a short path": ["bash", "-c", f"cd olmix/launch && python train.py train {ARGS}"],
    "cd twice": ["bash", "-c", f"cd /w; cd olmix\npython launch/train.py train {ARGS}"],
    "cd with a variable": [
        "bash",
        "-c",
        f'cd "$HOME/olmix" && python launch/train.py train {ARGS}',
    ],
    "a group": ["bash", "-c", f"{{ python {TEXT}; }} > log"],
    "a subshell": ["bash", "-c", f"(cd /x && python {TEXT})"],
    "a subshell's folder ends": [
        "bash",
        "-c",
        f"(cd /x/cookbook); cd olmix/launch; python train.py train {ARGS}",
    ],
    "in the background": ["bash", "-c", f"python {TEXT} & wait"],
    "behind other commands": ["bash", "-c", f"pip install -e . && nvidia-smi; python {TEXT}"],
    "before other commands": ["bash", "-c", f"python {TEXT} && aws s3 cp log s3://x/train.py"],
    "a redirection in front": ["bash", "-c", f"2>err python {TEXT} >out"],
    "a process substitution": ["bash", "-c", f"python {TEXT} > >(tee log) 2> >(tee err >&2)"],
    "an exported variable": ["bash", "-c", f"export A=1\nA=2 python {TEXT}"],
    "behind a comment": [
        "bash",
        "-c",
        f"# python {SCRIPT} train -n other -g 58362402\npython {TEXT}",
    ],
    "behind a here-document": [
        "bash",
        "-c",
        f"cat > note <<'EOF'\n{TEXT} -n other\nEOF\npython {TEXT}",
    ],
    "behind an if": ["bash", "-c", f"if [ ! -d olmix ]; then git clone x; fi; python {TEXT}"],
    "behind a loop": ["bash", "-c", f"for i in 1 2; do sleep $i; done; python {TEXT}"],
    "behind a report": ["bash", "-c", f"echo 'python {SCRIPT} train -n other'; python {TEXT}"],
    "a folder in a variable": ["bash", "-c", f'"$CONDA/bin/python" {TEXT}'],
    "tried again if it fails": ["bash", "-c", f"python {TEXT} || python {TEXT}"],
    "a command as the only word": [f"python {TEXT}"],
}

#: One form a row: what trains nothing, whatever it mentions.
TRAINS_NOTHING: dict[str, list[str]] = {
    "nothing": [],
    "a here-document without an end": ["bash", "-c", f"cat <<EOF\npython {TEXT}"],
    "the help of train": ["python", SCRIPT, "train", "--help"],
    "behind an exit": ["bash", "-c", f"exit 0; python {TEXT}"],
    "behind an exec": ["bash", "-c", f"exec sleep 9; python {TEXT}"],
    "behind a subshell's exit": ["bash", "-c", f"( exit 0; python {TEXT} )"],
    "Python's help": ["python", "-h", *COMMAND],
    "Python's version": ["python", "-V", *COMMAND],
    "an array": ["bash", "-c", f"CMD=(python {TEXT})"],
    "an array that is shown": ["bash", "-c", f'CMD=(python {TEXT}); echo "${{CMD[@]}}"'],
    "a text as a program's name in a shell": ["bash", "-c", shlex.quote(f"python {TEXT}")],
    "a here-document that expands nothing": [
        "bash",
        "-c",
        f"cat <<'EOF'\n$(python {TEXT})\nEOF",
    ],
    "a variable that no script finds": ["bash", "-c", f"CMD='python {TEXT}'; ./run.sh"],
    "a filter behind a report": ["bash", "-c", f"echo 'python {TEXT}' | sort | notify -m done"],
    "a variable for a report": ["bash", "-c", f"$PYTHON report.py --text 'python {TEXT}'"],
    "an evaluation": [*ENTRY, "python", "-m", "oe_eval.launch", "--model", RUN.run_name],
    "a conversion": ["python", "convert_checkpoint.py", "train", *OPTIONS],
    "its help": ["python", SCRIPT, "--help"],
    "echo": ["echo", *COMMAND],
    "echo in gantry": [*ENTRY, "echo", "python", *COMMAND],
    "echo in a shell": ["bash", "-c", f"echo python {TEXT}"],
    "grep": [*ENTRY, "grep", "-r", f"{SCRIPT} train", "logs"],
    "cat": ["cat", SCRIPT, "train"],
    "a report's text": [*ENTRY, "python", "report.py", "--text", f"python {TEXT}"],
    "a report's title in a shell": ["bash", "-c", f"python report.py --title 'ran {TEXT}'"],
    "a comment": ["bash", "-c", f"# python {TEXT}\nls"],
    "a comment behind a command": ["bash", "-c", f"ls # python {TEXT}"],
    "a here-document for cat": ["bash", "-c", f"cat <<EOF\npython {TEXT}\nEOF"],
    "a here-document in a file": [
        "bash",
        "-c",
        f"cat > notes.md <<-'EOF'\n\tpython {TEXT}\n\tEOF\nls",
    ],
    "a here-string for grep": ["bash", "-c", f"grep train <<< 'python {TEXT}'"],
    "a quoted text": ["bash", "-c", f"printf '%s\\n' 'python {TEXT}' > note"],
    "python -c": ["python", "-c", f"print('{SCRIPT} train')"],
    "another file beside it": [f"{SCRIPT}.bak", *COMMAND[1:]],
    "a folder before its name": [f"x{SCRIPT}", "test"],
    "a trainer without a group": ["python", "src/train.py", "train", "-n", "x"],
    "an editor": ["vim", SCRIPT],
    "uv pip": ["uv", "pip", "install", "train"],
    "a copy": ["bash", "-c", f"cp {SCRIPT} train && aws s3 cp {SCRIPT} s3://x/train"],
    "a script that is a module's argument": ["python", "-m", "pytest", SCRIPT, "train"],
    "a shell's script": ["bash", "evaluate.sh", RUN.run_name],
    "broken text without a trainer": ["bash", "-c", "echo 'open train"],
}

#: One form a row: what stays open, and a part of the reason.
OPEN: dict[str, tuple[list[str], str]] = {
    "no run name": (["python", SCRIPT, "train", "-g", "58362402"], "no run name"),
    "no group": (["python", SCRIPT, "train", "-n", "x"], "no group ID"),
    "an unknown option": ([*COMMAND, "--unknown", "x"], "cannot be read"),
    "an unknown trainer": (["python", "src/cookbook/train.py", "train", *OPTIONS], "not a known"),
    "an unknown module": (["python", "-m", "mix.train", "train", *OPTIONS], "not a known"),
    "an unknown folder": (["bash", "-c", f"cd x && python train.py train {ARGS}"], "not a known"),
    "a loop": (["bash", "-c", f"for i in 0 1; do python {TEXT}; done"], "a loop"),
    "a while loop": (["bash", "-c", f"while ! python {TEXT}; do sleep 1; done"], "a loop"),
    "a function": (["bash", "-c", f"go() {{ python {TEXT}; }}; go"], "a function"),
    "a function by its word": (["bash", "-c", f"function go {{ python {TEXT}; }}"], "a function"),
    "a branch": (["bash", "-c", f"if true; then python {TEXT}; fi"], "a branch"),
    "another branch": (["bash", "-c", f"if x; then y; else python {TEXT}; fi"], "a branch"),
    "a case": (["bash", "-c", f"case $x in a|b) python {TEXT} ;; esac"], "a branch"),
    "a here-document for a shell": (["bash", "-c", f"bash <<EOF\npython {TEXT}\nEOF"], "fed to"),
    "a here-string for a shell": (["bash", "-c", f"bash <<< 'python {TEXT}'"], "fed to a shell"),
    "a pipe into a shell": (["bash", "-c", f"echo 'python {TEXT}' | bash"], "fed to a shell"),
    "a file that it writes": (
        ["bash", "-c", f"cat > run.sh <<'EOF'\npython {TEXT}\nEOF\nbash run.sh"],
        "which the job writes",
    ),
    "a command in a variable": (["bash", "-c", f"CMD='python {TEXT}'; $CMD"], "left to a shell"),
    "Python in a variable": (["bash", "-c", f"$PYTHON {TEXT}"], "left to a shell"),
    "arguments of a text": (["bash", "-c", '"$@"', "_", "python", *COMMAND], "left to a shell"),
    "a subcommand in a variable": (["bash", "-c", f"python {SCRIPT} $SUB {ARGS}"], "leaves"),
    "a substitution": (["bash", "-c", f"echo $(python {TEXT})"], "a substitution"),
    "a run name in a variable": (["bash", "-c", f"python {TEXT} -n run-$i"], "left to a shell"),
    "an unknown program": (["run-with-retries", "python", *COMMAND], "may run it"),
    "an unknown shell script": (["bash", "wrap.sh", "python", *COMMAND], "may run it"),
    "xargs": (["xargs", "-I{}", "bash", "-c", f"python {TEXT}"], "what xargs runs"),
    "the script in a variable": (["bash", "-c", f"S={SCRIPT}; torchrun $S train {ARGS}"], "left"),
    "the module in a variable": (["bash", "-c", f"M=a.train; python -m $M train {ARGS}"], "left"),
    "the script as a pattern": (["bash", "-c", f"python */train.py train {ARGS}"], "not a known"),
    "a text in a variable": (["bash", "-c", f"X='python {TEXT}'; eval \"$X\""], "left to a shell"),
    "a shell's text in a variable": (["bash", "-c", f"X='python {TEXT}'; bash -c \"$X\""], "left"),
    "arguments behind exec": (["bash", "-c", 'exec "$@"', "_", "python", *COMMAND], "left to"),
    "arguments behind Python": (["bash", "-c", 'python "$@"', "_", *COMMAND], "left to a shell"),
    "arguments behind torchrun": (["bash", "-c", "torchrun $@", "_", *COMMAND], "left to a shell"),
    "arguments that are set": (["bash", "-c", f'set -- python {TEXT}; "$@"'], "left to a shell"),
    "a file that is sourced": (["bash", "-c", f"echo 'python {TEXT}' > r.sh; . ./r.sh"], "writes"),
    "a file that is executed": (["bash", "-c", f"echo 'python {TEXT}' > r.sh; ./r.sh"], "writes"),
    "a file by tee": (["bash", "-c", f"echo 'python {TEXT}' | tee r.sh; bash r.sh"], "writes"),
    "a substituted file": (["bash", "-c", f"bash <(echo 'python {TEXT}')"], "left to a shell"),
    "standard input by name": (["bash", "-c", f"bash -s -- x <<E\npython {TEXT}\nE"], "fed to"),
    "words from a pipe": (["bash", "-c", f"echo {TEXT} | xargs python"], "what xargs runs"),
    "a trap": (["bash", "-c", f"trap 'python {TEXT}' EXIT"], "what trap runs"),
    "an alias": (["bash", "-c", f"alias t='python {SCRIPT} train'; t {ARGS}"], "what alias runs"),
    "options in a variable": (["bash", "-c", "cd $D; python train.py train $A"], "not a known"),
    "behind a test": (["bash", "-c", f"[ -d x ] && python {TEXT}"], "only if a test"),
    "behind a failure": (["bash", "-c", f"pip install x || python {TEXT}"], "only if another"),
    "behind a test of two parts": (
        ["bash", "-c", f"[[ -n $A && -n $B ]] && python {TEXT}"],
        "only if a test",
    ),
    "behind a pattern": (["bash", "-c", f"[[ a =~ (b|c) ]] && python {TEXT}"], "only if a test"),
    "behind arithmetic": (["bash", "-c", f"(( 0 )) && python {TEXT}"], "only if a test"),
    "behind a search": (["bash", "-c", f"grep -q x y && python {TEXT}"], "only if a test"),
    "behind what must fail": (["bash", "-c", f"! x && python {TEXT}"], "only if a test"),
    "behind a test and more": (
        ["bash", "-c", f"[ -f x ] && echo start && python {TEXT}"],
        "only if a test",
    ),
    "a group behind a test": (
        ["bash", "-c", f"[ -f x ] && {{ echo; python {TEXT}; }}"],
        "only if a test",
    ),
    "a subshell behind a test": (
        ["bash", "-c", f"[ -f x ] && ( echo; python {TEXT} )"],
        "only if a test",
    ),
    "behind a subshell's test": (["bash", "-c", f"(false) && python {TEXT}"], "only if a test"),
    "behind a test that may exit": (
        ["bash", "-c", f"[ -f x ] || exit 1 && python {TEXT}"],
        "only if a test",
    ),
    "behind what may exit": (["bash", "-c", f"mkdir x && exit; python {TEXT}"], "end the shell"),
    "a group behind success": (
        ["bash", "-c", f"true || {{ echo; python {TEXT}; }}"],
        "only if another",
    ),
    "a group behind false": (
        ["bash", "-c", f"false && {{ echo; python {TEXT}; }}"],
        "only if a test",
    ),
    "another condition": (
        ["bash", "-c", f"if x; then y; elif python {TEXT}; then z; fi"],
        "a branch",
    ),
    "another subshell's folder": (
        ["bash", "-c", f"(cd olmix/launch); (python train.py train {ARGS})"],
        "not a known",
    ),
    "an array that is run": (
        ["bash", "-c", f'CMD=(python {TEXT}); "${{CMD[@]}}"'],
        "left to a shell",
    ),
    "a substituted program": (["bash", "-c", f"$(echo python {TEXT})"], "left to a shell"),
    "a substitution in a here-document": (
        ["bash", "-c", f"cat <<EOF\n$(python {TEXT})\nEOF"],
        "a substitution",
    ),
    "a group into a shell": (["bash", "-c", f"{{ echo 'python {TEXT}'; }} | bash"], "fed to"),
    "a shell in a group": (["bash", "-c", f"echo 'python {TEXT}' | {{ bash; }}"], "fed to"),
    "a compound command without an end": (["bash", "-c", f"{{ python {TEXT}"], "is missing"),
    "an end without a beginning": (["bash", "-c", f"python {TEXT}; }}"], "ends nothing"),
    "a file that a shell reads": (
        ["bash", "-c", f"echo 'python {TEXT}' > r.sh; bash < r.sh"],
        "fed to",
    ),
    "a file that is piped into a shell": (
        ["bash", "-c", f"echo 'python {TEXT}' > r.sh; cat r.sh | bash"],
        "fed to",
    ),
    "a file in another folder": (
        ["bash", "-c", f"echo 'python {TEXT}' > /tmp/r.sh; cd /tmp; bash r.sh"],
        "which the job writes",
    ),
    "a file that tee writes silently": (
        ["bash", "-c", f"tee r.sh <<E >/dev/null\npython {TEXT}\nE\nbash r.sh"],
        "which the job writes",
    ),
    "a file for xargs": (
        ["bash", "-c", f"echo 'python {TEXT}' > j; xargs -a j -I{{}} sh -c {{}}"],
        "what xargs runs",
    ),
    "a shell in a variable": (["bash", "-c", f"$SHELL -lc 'python {TEXT}'"], "left to a shell"),
    "a variable for a script": (["env", f"CMD=python {TEXT}", "./run.sh"], "what ./run.sh runs"),
    "a variable in front of a script": (
        ["bash", "-c", f"CMD='python {TEXT}' bash run.sh"],
        "what run.sh runs",
    ),
    "an exported variable for a script": (
        ["bash", "-c", f"CMD='python {TEXT}'; export CMD; ./run.sh"],
        "what ./run.sh runs",
    ),
    "a substitution in an expansion": (
        ["bash", "-c", f"echo ${{x:-$(python {TEXT})}}"],
        "a substitution",
    ),
    "a substitution in arithmetic": (
        ["bash", "-c", f"x=$(( $(python {TEXT}) ))"],
        "a substitution",
    ),
    "a file for an unknown program": (
        ["bash", "-c", f"echo 'python {TEXT}' > r.sh; sbatch r.sh"],
        "what sbatch runs",
    ),
    "a pipe with a filter into a shell": (
        ["bash", "-c", f"echo 'python {TEXT}' | sed s/a/b/ | bash"],
        "fed to",
    ),
    "a here-document for a shell in a container": (
        ["bash", "-c", f"docker run -i img bash <<E\npython {TEXT}\nE"],
        "what docker runs",
    ),
    "a here-document that a loop runs": (
        ["bash", "-c", f'while read c; do eval "$c"; done <<E\npython {TEXT}\nE'],
        "compound command",
    ),
    "a pipe into a loop": (
        ["bash", "-c", f"echo 'python {TEXT}' | while read c; do eval \"$c\"; done"],
        "a loop",
    ),
    "a text that is read": (
        ["bash", "-c", f"read -r c <<'E'\npython {TEXT}\nE\neval \"$c\""],
        "left to a shell",
    ),
    "a text that is printed into a variable": (
        ["bash", "-c", f"printf -v c 'python {TEXT}'; $c"],
        "left to a shell",
    ),
    "arguments behind set": (
        ["bash", "-c", 'set -ex; "$@"', "_", "python", *COMMAND],
        "left to a shell",
    ),
    "arguments that set sets": (["bash", "-c", f'set python {TEXT}; "$@"'], "left to a shell"),
    "a shell's text for a shell": (
        ["bash", "-c", 'bash -c "$1"', "_", f"python {TEXT}"],
        "left to a shell",
    ),
    "an unknown option's value": (
        ["accelerate", "launch", "--fsdp_offload_params", "false", *COMMAND],
        "may run it",
    ),
    "another subcommand": (["uv", "tool", "run", "python", *COMMAND], "may run it"),
    "code": (["python", "-c", "from olmix.launch.train import cli; cli()", *COMMAND[1:]], "code"),
    "code that is fed": (["bash", "-c", f"python - <<E\nimport x\nx('{TEXT}')\nE"], "code"),
    "a script that runs words": (["python", "retry.py", "python", *COMMAND], "may run it"),
    "words that depend on gantry": (
        [*ENTRY, "python", "report.py", "--cmd", "cd x", "&&", "python", *COMMAND],
        "exec-method",
    ),
    "two runs": (["bash", "-c", f"python {TEXT}; python {TEXT} -n other"], "more than once"),
    "an open quote": (["bash", "-c", f"python {TEXT} 'open"], "cannot be read"),
    "text without an end": (["bash", "-c", f"cd x; python train.py train {ARGS} 'x"], "cannot be"),
}


@pytest.mark.parametrize("words", TRAINS.values(), ids=TRAINS)
def test_what_starts_a_trainer_is_followed_to_its_run(words: list[str]) -> None:
    assert parse_trainer(words) == RUN


@pytest.mark.parametrize("words", TRAINS_NOTHING.values(), ids=TRAINS_NOTHING)
def test_what_merely_mentions_a_trainer_trains_nothing(words: list[str]) -> None:
    assert parse_trainer(words) is None


@pytest.mark.parametrize(("words", "reason"), OPEN.values(), ids=OPEN)
def test_what_stays_open_is_said(words: list[str], reason: str) -> None:
    with pytest.raises(TrainerCommandError, match=reason):
        parse_trainer(words)


@pytest.mark.parametrize(
    "given",
    [
        "apptainer exec x.sif bash -c @",
        "singularity exec --nv x.sif bash -c @",
        "docker run img bash -c @",
        "nsys profile -o x -- bash -lc @",
        "xvfb-run bash -c @",
        "prlimit --nofile=100 bash -c @",
        "busybox sh -c @",
        "ash -c @",
        "fish -c @",
        "su - kylel -c @",
        "gosu user bash -c @",
        "retry 3 @",
        "bash run.sh bash -c @",
        "bash run.sh @",
        "ray job submit -- bash -c @",
        "numactl --cpunodebind 0 bash -c @",
        "sudo -Hu x bash -c @",
        "make run CMD=@",
        "infisical run --command=@",
    ],
)
def test_a_text_for_an_unknown_program_stays_open(given: str) -> None:
    text = given.replace("@", shlex.quote(f"python {TEXT}"))

    for words in (shlex.split(text), ["bash", "-c", f"cd /x && {text}"]):
        with pytest.raises(TrainerCommandError, match="may run it") as caught:
            parse_trainer(words)
        assert caught.value.group_id == "58362402"


DOCUMENT = f"cat > run.sh <<'E'\npython {TEXT}\nE\n"


@pytest.mark.parametrize(
    "text",
    [
        f"printf '%s' 'python {TEXT}' > note; $X",
        f"{DOCUMENT}nohup bash -c 'bash run.sh' > log 2>&1",
        f"{DOCUMENT}eval 'bash run.sh'",
        f"{DOCUMENT}X=$(bash run.sh)",
        f"{DOCUMENT}SCRIPT=run.sh; bash $SCRIPT",
        f"{DOCUMENT}for f in *.sh; do bash $f; done",
        f"{DOCUMENT}cp run.sh b.sh; bash b.sh",
        f"{DOCUMENT}sed s/x/y/ run.sh > b.sh; bash b.sh",
        f"echo 'python {TEXT}' > run.sh; echo 'echo done' >> run.sh; bash run.sh",
        f"for cmd in 'python {TEXT}' 'echo done'; do eval \"$cmd\"; done",
        f"eval 'echo \"python {TEXT}\" > run.sh'; bash run.sh",
        f"cat > env.sh <<'E'\nexport CMD='python {TEXT}'\nE\nsource ./env.sh\n$CMD",
        f': "${{CMD:=python {TEXT}}}"; $CMD',
        f"echo 'python {TEXT}' | sudo tee run.sh; ./run.sh",
    ],
)
def test_what_a_job_wrote_or_set_and_may_run_stays_open(text: str) -> None:
    with pytest.raises(TrainerCommandError):
        parse_trainer(["bash", "-c", text])


@pytest.mark.parametrize(
    "module",
    [
        "coverage run",
        "viztracer --",
        "memory_profiler",
        "trace --trace",
        "ddtrace.commands.ddtrace_run python",
    ],
)
def test_a_module_that_may_run_a_trainer_stays_open(module: str) -> None:
    with pytest.raises(TrainerCommandError, match="may run it"):
        parse_trainer(["python", "-m", *module.split(), *COMMAND])


def test_an_open_case_names_the_group_it_is_of() -> None:
    with pytest.raises(TrainerCommandError) as caught:
        parse_trainer(["python", "src/cookbook/train.py", "train", "-n", "x", "-g", "6cf425be"])

    assert caught.value.group_id == "6cf425be"


#: Programs to put in front of a command; each leaves it the same run.
IN_FRONT = (
    ["env", "A=1"],
    ["nohup"],
    ["nice", "-n", "3"],
    ["timeout", "-k", "5", "23h"],
    ["srun", "-n", "1"],
    ["uv", "run"],
    ["conda", "run", "-n", "env"],
    ["setsid"],
    ["stdbuf", "-oL"],
    ["tini", "--"],
    ["bash", "/gantry/entrypoint.sh"],
    ["A=1"],
)


def wrap(words: list[str], shell: str) -> list[str]:
    return ["bash", "-c", shell.replace("@", shlex.join(words))]


@st.composite
def chains(draw: st.DrawFn) -> list[str]:
    """A command that trains RUN, in some layers of the programs that may stand around it."""
    words = draw(
        st.sampled_from(
            [
                ["python", *COMMAND],
                ["torchrun", "--nproc-per-node", "8", *COMMAND],
                ["python", "-um", "olmix.launch.train", *COMMAND[1:]],
                ["bash", "-c", f"cd olmix/launch && python train.py train {ARGS}"],
            ]
        )
    )
    shells = [
        "@",
        "cd /x && @",
        "set -ex; @ 2>&1 | tee log",
        "{ @; } > log",
        "( @ )",
        f"echo {SCRIPT} train -n other -g 58362402; @",
        f"# {SCRIPT} train -n other\n@",
        "cat > f <<'EOF'\n" + TEXT + "\nEOF\n@",
        "for i in 1; do ls; done; @",
    ]
    for layer in draw(st.lists(st.sampled_from([*IN_FRONT, *shells]), max_size=6)):
        words = wrap(words, layer) if isinstance(layer, str) else [*layer, *words]
    return words


@given(chains())
def test_a_chain_of_programs_ends_at_the_run_within_it(words: list[str]) -> None:
    assert parse_trainer(words) == RUN


PIECES = st.sampled_from(
    [
        *COMMAND,
        "bash",
        "-c",
        "python",
        "env",
        "$(",
        "<<EOF",
        "\n",
        "'",
        '"',
        "{",
        "}",
        "(",
        ")",
        "`",
    ]
)


@given(st.lists(st.one_of(PIECES, st.text()), max_size=12))
def test_no_text_for_a_shell_is_beyond_it(pieces: list[str]) -> None:
    for words in (["bash", "-c", " ".join(pieces)], pieces):
        try:
            run = parse_trainer(words)
        except TrainerCommandError:
            continue
        assert run is None or run.group_id


@pytest.mark.parametrize(
    "words",
    [
        ["bash", "-c", "cat > f <<'E'\nbash f train\nbash f train\nE\nbash f"],
        ["bash", "-c", "A=train\n" * 1500 + "$X\n" * 1500],
        ["foo", "-g", "58362402", *["bash", "-c", "x train;" * 2000] * 300],
        ["bash", "-c", "$(" * 20_000 + "train"],
        ["bash", "-c", "$(" * 8 + "a " * 1000 + "train.py" + ")" * 8],
        ["bash", "-c", "".join(f"A{at}=train\n" for at in range(5000)) + "$X\n" * 5000],
        [
            "bash",
            "-c",
            "".join(f"export a{at}=1\n" for at in range(3500)) + "x y\n" * 10_000 + TEXT,
        ],
        ["bash", "-c", "".join(f"a{at}=1\n" for at in range(4000)) + "python $X\n" * 5000 + TEXT],
        ["bash", "-c", f"tee {' '.join(f'a{at}' for at in range(14_000))}; {TEXT}"],
        ["bash", "-c", "{ " * 45 + "a;" * 15_000 + "train.py;" + "}; " * 45],
        ["bash", "-c", "cat <<E\n" + "`a` $(b c) " * 40_000 + "\nE\ntrain.py"],
        ["bash", *["/gantry/entrypoint.sh", "bash"] * 18, "cd", "x", "&&", "python", "train.py"],
    ],
    ids=[
        "a file that reads itself",
        "variables",
        "many shells",
        "nested substitutions",
        "nested substitutions with many words",
        "many variables",
        "many exported variables",
        "many scripts left to a shell",
        "many files",
        "nested groups",
        "many substitutions",
        "nested entry points",
    ],
)
def test_a_command_made_to_take_long_does_not(words: list[str]) -> None:
    started = time.process_time()

    with suppress(TrainerCommandError):
        assert parse_trainer(words) is None

    assert time.process_time() - started < 5  # seconds


@pytest.mark.parametrize(
    "words",
    [
        ["retry", "-g", "8", "python", *COMMAND],
        ["launch", "-gpus", "8", "python", *COMMAND],
        ["python", SCRIPT, "train", "-g", "11111111", *OPTIONS, "--unknown"],
    ],
)
def test_an_open_case_names_no_group_that_is_not_certain(words: list[str]) -> None:
    with pytest.raises(TrainerCommandError) as caught:
        parse_trainer(words)

    assert caught.value.group_id in (None, "58362402")
