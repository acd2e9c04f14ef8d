"""The `streamgauge` command: `streamgauge bench …` is `python -m bench …`; every other command is the server's."""

from __future__ import annotations

import runpy
import sys
from importlib.util import find_spec

from streamgauge.install import install_command
from streamgauge.version import version_line

_USAGE = """\
usage: streamgauge COMMAND [OPTIONS]

  bench      load-test the embedded server or any OpenAI-compatible one   (python -m bench)
  deploy     serve a real or a simulated model                            (python -m mock_server deploy)
  infer      chat with a model in the terminal, or evaluate it            (python -m mock_server infer)
  app-ui     chat with a model in the browser                             (python -m mock_server app-ui)
  sft        fine-tune a model with LoRA                                  (python -m mock_server sft)
  export     merge an adapter into its model, or quantize a model         (python -m mock_server export)

`streamgauge COMMAND --help` lists the options of a command, `streamgauge --version` prints the release."""


def main() -> None:
    """Run a command as its module would."""
    command, *rest = sys.argv[1:] or ["--help"]
    if command in ("-h", "--help"):
        print(_USAGE)  # noqa: T201 - the command's output
        return
    if command in ("-V", "--version"):
        print(version_line())  # noqa: T201 - the command's output
        return
    module, arguments = ("bench", rest) if command == "bench" else ("mock_server", [command, *rest])
    if find_spec("click") is None:
        extra = "bench" if module == "bench" else "server"
        sys.exit(f"error: this command needs more packages: {install_command(extra)}")
    sys.argv = [f"streamgauge {command}", *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
