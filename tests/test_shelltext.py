"""Texts for a shell, each run by bash with a stand-in for Python, and read: the two must agree."""

from __future__ import annotations

import os
import subprocess
from itertools import product
from pathlib import Path

import pytest

from olmix_evalscript.command import parse_trainer
from olmix_evalscript.errors import TrainerCommandError
from olmix_evalscript.shelltext import simple_commands

TRAIN = "python olmix/launch/train.py train -n run-58362402-0000 -g 58362402"
SUCCEEDING = (
    *(":", "echo a", "! false", "[ -n x ]", "(( 1 ))", "x=(exit 1)", "f() { exit 1; }"),
    *("f() (exit 1)", "case x in done) exit 1;; esac", "while false; do exit 1; done"),
)
ENDING = (
    *("exit 1", "exec true", "false", "! true", "[ -n '' ]", "[[ -n '' && a ]]", "(( 0 ))"),
    *("(exit 1)", "{ false; }", "{ echo; exit 1; }", "( echo; exec true )", "true | exit 1"),
    *("if true; then false; fi",),
)
JOINTS = (
    *("; ", "\n", " & ", " && ", " || ", " | cat; ", " && echo && ", " || echo && "),
    " && exit & ",
)
#: A guard is taken to pass: it stands behind what succeeds, or else behind what fails.
IF_NOT = (" || exit 1; ", " || { echo; exit 1; }\n", " || { exit 1; } && ")
IF = (" && { echo; exit 1; }; ", " && exit\n")
LAST = ("@", "{ echo; ( @ ) | cat; }")
#: Single texts; `@` is the trainer's command.
TEXTS = [
    *map("".join, product((*SUCCEEDING, *ENDING), JOINTS, LAST)),
    *map("".join, product(SUCCEEDING, IF_NOT, LAST)),
    *map("".join, product(("echo a", *ENDING), IF, LAST)),
    "( exit 0; @ )",
    "(cd /; exit 0); @",
    "(exit 0) && { exit 1; } | cat; @",
    "true && { echo; } || { exit 1; }; @",
    "true || { echo a; { exit 1; }; } && @",
    "cat /dev/null | { read x; exit 1; }; @",
    "{ while true; do break; done; exit; } & @",
    "printf a | while read x; do exit 1; done; @",
    "if ! @; then exit 1; fi",
    "if false; then :; elif @; then :; fi",
    "if false; then exit 1; elif true; then :; else exit 2; fi; @",
    "case x in\n # exit\n (a|done) exit 1 ;;\n x) : ;;\nesac\n@",
    "case esac in x) exit;; esac; @",
    "case in in y) exit 1;; esac; @",
    "case x in y) cat <<E ;;\n)\nE\nz) exit ;; esac; @",
    "x=$(case a in a) echo;; esac); @",
    "x=$(# it's )\n); @",
    "x=$((1<<2))\n@",
    "((x = 1 << 2))\n@",
    "for ((i = 0; i < 2; i++)); do echo; done; @",
    "f()\n{\nexit 1\n}\n@",
    "f() { if true; then exit 1; fi; }; @",
    "f() if true; then exit 1; fi; @",
    "function f { exit 1; }; @",
    "f() { @; }",
    "CMD=(@)",
    'CMD=(@); echo "${CMD[@]}"',
    'CMD=(@); "${CMD[@]}"',
    "CMD='@'; $CMD",
    "x=( # exit\n a 'b)' ); @",
    "declare -a x=(exit 1); @",
    "x[0]=1 ; @",
    "[[ ( a == a ) ]] && echo; @",
    "[[ a =~ (b|c) ]] && @",
    '[[ "a b" =~ ^(a|b)" "b$ ]]; @',
    "[[ 1 -lt 2 && 2 > 1 ]] ; @",
    "[[ a == '(' ]] ; @",
    "exec 3>&1; @",
    "exec > /dev/null 2>&1; @",
    "exec 2> >(cat); @",
    "time { @; }",
    "time -p @",
    "{ cat <<E\n}\nE\n}\n@",
    "cat <<A; cat <<B\na\nA\nb\nB\n@",
    "cat <<E\n$(@)\nE",
    "cat <<'E'\n$(@)\nE",
    "cat <<E\n\\$(@)\nE",
    "echo '$(@)'",
    'echo "$(@)"',
    "echo @",
    "'@'",
    "$(echo @)",
    "{ echo '@'; } | bash",
    "echo '@' | { bash; }",
    "echo '@' | (cat)",
    "bash -c '@'",
    "bash -c 'bash -c \"$1\"' _ '@'",
    "bash -c 'exit 1'; @",
    "python -h olmix/launch/train.py train -g 58362402",
    "echo ${x:-$(@)}",
    "x=$(( $(@) ))",
    "(( $(@) ))",
    "case $(@) in x) ;; esac",
    "for i in $(@); do :; done",
    "while read -r c; do $c; done <<< '@'",
    "for i in 1; do :; done < <(@)",
    "CMD='@' bash -c 'eval \"$CMD\"'",
    "CMD='@'; export CMD; bash -c 'eval \"$CMD\"'",
    "echo '@' > run.txt; bash < run.txt; rm run.txt",
    "echo '@' > run.txt; cat run.txt | sed s/a/a/ | bash; rm run.txt",
    "read -r c <<< '@'; $c",
    "printf -v c '%s' '@'; $c",
    '"$BASH" -c "@"',
    "if exit 1; then :; fi; @",
    "! exit 1 | cat; @",
    "x=$(exit 1); @",
]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> list[bool]:
    """Whether bash came to the trainer, for each text."""
    folder = tmp_path_factory.mktemp("shell")
    python = folder / "bin" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/bash\n[[ $1 == olmix/launch/train.py ]] && : > "$LOG"\nexit 0\n')
    python.chmod(0o755)
    for number, text in enumerate(TEXTS):
        (folder / f"{number}.sh").write_text(text.replace("@", TRAIN))
    # cat waits for what runs in the background, too
    each = 'for f in *.sh; do LOG=$f.ran bash "$f" </dev/null 2>&1 | cat >/dev/null; done'
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["bash", "-c", each], cwd=folder, env={"PATH": path}, check=True, timeout=120)
    return [Path(folder, f"{number}.sh.ran").exists() for number in range(len(TEXTS))]


def test_no_run_is_missed_or_made_up(ran: list[bool]) -> None:
    missed, made_up = [], []
    for text, has_run in zip(TEXTS, ran, strict=True):
        try:
            run = parse_trainer(["bash", "-c", text.replace("@", TRAIN)])
        except TrainerCommandError:
            continue
        if run is None and has_run:
            missed.append(text)
        if run is not None and not has_run:
            made_up.append(text)

    assert (missed, made_up) == ([], [])


@pytest.mark.parametrize(
    "text",
    [
        "{ a",
        "a )",
        "done",
        "if a; then b; done",
        "case x y) a;; esac",
        "case x in y",
        "[[ a",
        "x=(a",
        "f() a",
        "a;; b",
        "{ " * 60 + "a; " + "}; " * 60,
    ],
)
def test_what_the_shell_refuses_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        simple_commands(text)
