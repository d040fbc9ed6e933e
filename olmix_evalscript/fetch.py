"""Fetch evaluation results from S3 with the AWS command line."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from olmix_evalscript.errors import FitError
from olmix_evalscript.results import SUFFIX
from olmix_evalscript.text import counted

#: Where oe-eval leaves the results of a dashboard.
URL = "s3://ai2-llm/evaluation/{dashboard}/"
FEW = 3  # lines of aws's own message that are shown


def fetch_results(dashboard: str, folder: Path, status: Callable[[str], None]) -> None:
    """Bring a folder up to date with the result files of a dashboard.

    Args:
        dashboard: Its name, fit for a path.
        folder: Where to; files that are up to date stay.
        status: Hears how many files were fetched so far.

    Raises:
        FitError: If ``aws`` is missing or fails, or there are no results.
    """
    url = URL.format(dashboard=dashboard)
    command = ["aws", "s3", "sync", url, str(folder), "--exclude", "*", "--include", f"*{SUFFIX}"]
    command += ["--exact-timestamps", "--no-progress"]
    status(f"Fetching results from {url}")
    files, messages = 0, []
    try:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("download: "):
                    files += 1
                    status(f"Fetching results from {url}: {counted(files, 'file')}")
                elif line.strip():
                    messages.append(line.strip())
    except FileNotFoundError:
        raise FitError(
            f"cannot fetch {url}: aws is not installed. Install the AWS command line, or fetch the "
            "results on another machine and use --results FOLDER."
        ) from None
    if process.returncode:
        raise FitError(
            f"cannot fetch {url}: {'; '.join(messages[:FEW]) or 'aws says nothing'} "
            f"(aws exit status {process.returncode})"
        )
    if not any(folder.rglob(f"*{SUFFIX}")):
        raise FitError(
            f"no results at {url}. Wait until an evaluation has finished, or choose another "
            "dashboard with --dashboard."
        )
