"""Have olmo-eval itself evaluate the tiny models of the loop, without Beaker.

by_olmo_eval.py prepare ROOT       save the tokenizer and the documents that it needs
by_olmo_eval.py beaker launch ...  do here what its `beaker launch` would have a job do
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from models import DOMAINS, EVALUATED, documents
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast


def save_tokenizer(folder: Path) -> None:
    """Save a tokenizer of Hugging Face's whose tokens are bytes, as those of the models."""
    # ByteLevel writes bytes that are no letters of Latin-1 as letters from U+0100 on.
    letters = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in letters]
    vocabulary = {chr(byte): byte for byte in letters}
    vocabulary |= {chr(256 + place): byte for place, byte in enumerate(others)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    end, padding = chr(256), chr(257)  # bytes 0 and 1, which no text has
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=end, pad_token=padding, model_max_length=8192
    ).save_pretrained(folder)


def save_documents(folder: Path) -> None:
    """Save documents that no model has seen, a file for each task."""
    folder.mkdir()
    for task, requests in DOMAINS.values():
        name = task.partition(":")[0]
        lines = [data_line(name, each) for each in documents(requests)[: EVALUATED // 5]]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")


def data_line(task: str, request: dict[str, Any]) -> dict[str, Any]:
    """A document in the form in which olmo-eval reads it from a file."""
    document: dict[str, Any] = request["doc"]
    if task == "lambada":
        return {"text": request["request"]["context"] + request["request"]["continuation"]}
    if task == "arc_easy":
        labels = "ABCDE"[: len(document["choices"])]
        return {
            "id": document["id"],
            "question": document["query"].removeprefix("Question: ").removesuffix("\nAnswer:"),
            "choices": {"text": document["choices"], "label": list(labels)},
            "answerKey": labels[document["gold"]],
        }
    return document


def launch(arguments: list[str]) -> None:
    """Run olmo-eval on a checkpoint below /weka."""
    parser = argparse.ArgumentParser()
    for option in ("--name", "--model", "--group", "--harness"):
        parser.add_argument(option, required=True)
    for option in ("--task", "--override"):
        parser.add_argument(option, action="append", required=True)
    options, _ = parser.parse_known_args(arguments)
    checkpoint = Path(os.environ["WEKA_MOUNT"] + options.model.removeprefix("/weka"))
    program = Path(sys.executable).with_name("olmo-eval")
    command: list[Any] = [program, "run", "--harness", options.harness]
    for override in (*options.override, "provider.base_url=cpu"):
        command += ["--override", override]
    command += ["--model", checkpoint]
    for task in options.task:
        data = checkpoint.parents[1] / "data" / f"{task.partition(':')[0]}.jsonl"
        command += ["--task", task, "--override", f"data_source={data}"]
    results = Path(os.environ["LOOP_RESULTS"], options.group, options.name)
    command += ["--output-dir", results, "--experiment-name", options.name]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        save_tokenizer(Path(sys.argv[2], "tokenizer"))
        save_documents(Path(sys.argv[2], "data"))
    else:
        launch(sys.argv[3:])
