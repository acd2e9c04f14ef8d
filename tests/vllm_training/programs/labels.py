"""What a run learns of a conversation, with a real model's own chat template.

usage: labels.py MODEL; prints JSON.
"""

from __future__ import annotations

import json
import sys

from transformers import AutoTokenizer

from mock_server.dataset.sample import Message, Sample
from mock_server.training.trainer import encoded_rows

SAMPLE = Sample(
    (Message("system", "Be brief."), Message("user", "Hi!"), Message("assistant", "Hello!"), Message("user", "Bye!")),
    "Goodbye! 再见！",
    "",
)


def main() -> None:
    tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
    (row,) = encoded_rows([SAMPLE], tokenizer)
    learned = [label for label in row.labels if label != -100]
    print(json.dumps({"learned": tokenizer.decode(learned), "all": tokenizer.decode(row.input_ids)}))


main()
