#!/usr/bin/env python3
"""A stand-in for olmo-cookbook-eval: as strict about its arguments, and it submits to a file.

COOKBOOK_CALLS names the file; each submission is a line of JSON there. Beside it, `.started` gets
the process ID and checkpoint of each call, and of whatever a hanging call started. These hold a
part of the checkpoints that the stand-in is to

- COOKBOOK_FAIL: fail for;
- COOKBOOK_SLOW: take a second for;
- COOKBOOK_HANG: hang for, heedless of SIGINT, with a child that does likewise;
- COOKBOOK_ASK: ask a question at the terminal for.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from typing import Any, NoReturn

FLAG, TEXT, INTEGER, FRACTION = "flag", "text", "integer", "fraction"
MANY = ("tasks", "task_args")

# The options of `evaluate`: short name, long name, and a kind or the choices.
OPTIONS: tuple[tuple[str, str, str | tuple[str, ...]], ...] = (
    ("", "--help", FLAG),
    ("", "--version", FLAG),
    ("-a", "--add-bos-token", FLAG),
    ("-c", "--cluster", TEXT),
    ("-d", "--dashboard", TEXT),
    ("-b", "--budget", TEXT),
    ("-w", "--workspace", TEXT),
    ("-t", "--tasks", TEXT),
    ("-p", "--partition-size", INTEGER),
    ("-y", "--priority", ("low", "normal", "high", "urgent")),
    ("-n", "--num-gpus", INTEGER),
    ("", "--use-hf-token", FLAG),
    ("", "--no-use-hf-token", FLAG),
    ("-x", "--extra-args", TEXT),
    ("-r", "--dry-run", FLAG),
    ("-s", "--huggingface-secret", TEXT),
    ("-j", "--aws-access-key-id", TEXT),
    ("-k", "--aws-secret-access-key", TEXT),
    ("-l", "--gantry-args", TEXT),
    ("-i", "--beaker-image", TEXT),
    ("-z", "--batch-size", INTEGER),
    ("-o", "--remote-output-prefix", TEXT),
    ("-v", "--model-backend", ("hf", "vllm", "olmo_core")),
    ("-g", "--use-gantry", FLAG),
    ("", "--beaker-retries", INTEGER),
    ("", "--oe-eval-branch", TEXT),
    ("", "--oe-eval-commit", TEXT),
    ("", "--force-venv", FLAG),
    ("", "--env-name", TEXT),
    ("", "--vllm-memory-utilization", FRACTION),
    ("", "--vllm-for-mc", FLAG),
    ("", "--no-vllm-for-mc", FLAG),
    ("", "--compute-gold-bpb", FLAG),
    ("", "--no-compute-gold-bpb", FLAG),
    ("", "--task-args", TEXT),
    ("", "--model-args", TEXT),
    ("", "--revision", TEXT),
    ("", "--fim-tokens", ("santacoder", "starcoder", "deepseek", "l2c")),
    ("", "--vllm-use-v1-spec", FLAG),
    ("", "--no-vllm-use-v1-spec", FLAG),
    ("", "--use-backend-in-run-name", FLAG),
    ("", "--no-use-backend-in-run-name", FLAG),
    ("", "--backfill", FLAG),
    ("", "--no-backfill", FLAG),
    ("", "--name-suffix", TEXT),
    ("", "--num-shots", INTEGER),
)
KINDS = {name: kind for short, long, kind in OPTIONS for name in (short, long) if name}
KEYS = {
    name: long[2:].replace("-", "_") for short, long, _ in OPTIONS for name in (short, long) if name
}


def misuse(message: str) -> NoReturn:
    print(f"Error: {message}", file=sys.stderr)
    sys.exit(2)


def parse(arguments: list[str]) -> dict[str, Any]:
    """The options and the one checkpoint of a call; leaves with status 2 on misuse."""
    call: dict[str, Any] = {"tasks": []}
    checkpoints: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            checkpoints += rest
            break
        if word == "-" or not word.startswith("-"):
            checkpoints.append(word)
            continue
        name, given, value = word.partition("=") if word.startswith("--") else (word[:2], "", "")
        if not word.startswith("--") and len(word) > 2:
            if KINDS.get(name) == FLAG:
                rest.insert(0, "-" + word[2:])
            else:
                given, value = "=", word[2:]
        if name not in KINDS:
            misuse(f"No such option: {name}")
        if KINDS[name] == FLAG:
            if given:
                misuse(f"Option {name} does not take a value.")
            call[KEYS[name]] = True
            continue
        if not given:
            if not rest:
                misuse(f"Option {name} requires an argument.")
            value = rest.pop(0)
        put(call, name, value)
    if len(checkpoints) != 1 and not {"help", "version"} & set(call):
        misuse(f"expected one CHECKPOINT_PATH, got {checkpoints}")
    return {**call, "checkpoint": "".join(checkpoints)}


def put(call: dict[str, Any], name: str, value: str) -> None:
    """Check a value and add it to the call."""
    kind = KINDS[name]
    if isinstance(kind, tuple) and value not in kind:
        misuse(f"Invalid value for {name}: {value!r} is not one of {', '.join(kind)}.")
    if kind == INTEGER and not re.fullmatch(r"[+-]?\d+", value):
        misuse(f"Invalid value for {name}: {value!r} is not a valid integer.")
    if kind == FRACTION and not re.fullmatch(r"0*(0?\.\d+|0|1(\.0*)?)", value):
        misuse(f"Invalid value for {name}: {value!r} is not in the range 0.0<=x<=1.0.")
    if KEYS[name] in MANY:
        call.setdefault(KEYS[name], []).append(value)
    else:
        call[KEYS[name]] = value


def check(call: dict[str, Any]) -> None:
    """Leave with status 1 on what the real one cannot work with."""
    scheme, found, _ = call["checkpoint"].partition("://")
    if found and scheme not in ("s3", "gs", "gcs"):
        sys.exit(f"ValueError: Unsupported scheme '{scheme}'")
    gantry, model = call.get("gantry_args", ""), call.get("model_args", "")
    items = [*model.split(","), *call.get("task_args", [])]
    if not all(item.count("=") == 1 for item in items if item.strip()):
        sys.exit("ValueError: not enough values to unpack")
    if not all("=" in item for item in gantry.split(",") if item.strip()):
        sys.exit("ValueError: not enough values to unpack")
    if {"oe_eval_branch", "oe_eval_commit"} & set(call) and "use_gantry" not in call:
        sys.exit("ValueError: If oe-eval branch or commit is provided, use --use-gantry.")
    if "use_backend_in_run_name" in call and call.get("name_suffix", "").strip():
        sys.exit("ValueError: name_suffix and use_backend_in_run_name cannot both be provided")
    if "" in call["tasks"]:
        sys.exit("IndexError: string index out of range")


def note(text: str) -> None:
    with open(os.environ["COOKBOOK_CALLS"] + ".started", "a", encoding="utf-8") as file:
        file.write(f"{text}\n")


def hang() -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    grandchild = subprocess.Popen(["sleep", "600"])
    note(f"{grandchild.pid} sleep")
    time.sleep(600)
    sys.exit(1)


def main() -> None:
    if sys.argv[1:2] != ["evaluate"]:
        misuse(f"No such command {sys.argv[1:2]}.")
    call = parse(sys.argv[2:])
    if {"help", "version"} & set(call):
        print("Usage: olmo-cookbook-eval evaluate [OPTIONS] CHECKPOINT_PATH")
        return
    check(call)
    note(f"{os.getpid()} {call['checkpoint']}")
    wanted = {
        deed
        for deed in ("FAIL", "SLOW", "HANG", "ASK")
        if os.environ.get(f"COOKBOOK_{deed}", "\0") in call["checkpoint"]
    }
    if "SLOW" in wanted:
        time.sleep(1)
    if "HANG" in wanted:
        hang()
    if "ASK" in wanted:
        with open("/dev/tty", encoding="utf-8") as terminal:
            terminal.readline()
    if "FAIL" in wanted:
        sys.exit("RuntimeError: Error running command: python oe_eval/launch.py")
    with open(os.environ["COOKBOOK_CALLS"], "a", encoding="utf-8") as file:
        file.write(json.dumps(call) + "\n")
    print(f"Launched {len(call['tasks'])} eval jobs for {call['checkpoint']}")


if __name__ == "__main__":
    main()
