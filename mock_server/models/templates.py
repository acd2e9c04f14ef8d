"""Chat templates by type, in Jinja, for models whose tokenizer has none."""

from __future__ import annotations

from pathlib import Path

from mock_server.engine.wording import Setting, WordedError
from streamgauge.nearest import did_you_mean

_CHATML_TURNS = """\
{%- for message in messages %}
{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"""

_QWEN_SYSTEM = """\
{%- if messages[0]['role'] != 'system' %}
{{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
{%- endif %}
"""

_LLAMA = """\
{%- if messages[0]['role'] == 'system' %}
{%- set system = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' %}{%- set turns = messages[1:] %}
{%- else %}
{%- set system = '' %}{%- set turns = messages %}
{%- endif %}
{%- for message in turns %}
{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{- raise_exception('user and assistant must take turns, the user first') }}
{%- endif %}
{%- if message['role'] == 'user' %}
{{- bos_token + '[INST] ' + (system if loop.first else '') + message['content'] + ' [/INST]' }}
{%- else %}
{{- ' ' + message['content'] + ' ' + eos_token }}
{%- endif %}
{%- endfor %}"""

_LLAMA3 = """\
{{- bos_token }}
{%- for message in messages %}
{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}"""

_ZEPHYR = """\
{%- for message in messages %}
{{- '<|' + message['role'] + '|>\\n' + message['content'] + eos_token + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|assistant|>\\n' }}{%- endif %}"""

TEMPLATES = {
    "chatml": _CHATML_TURNS,
    "qwen": _QWEN_SYSTEM + _CHATML_TURNS,
    "llama": _LLAMA,
    "llama3": _LLAMA3,
    "zephyr": _ZEPHYR,
}


class TemplateError(WordedError, ValueError):
    """An unknown template, or one that cannot be read."""


def find_template(template_type: str) -> str:
    """Raises `TemplateError`."""
    found = TEMPLATES.get(template_type.lower())
    if found is None:
        hint = did_you_mean(template_type, TEMPLATES)
        raise TemplateError(
            Setting("template_type", template_type), f" is not known; there are: {', '.join(TEMPLATES)}.{hint}"
        )
    return found


def read_template(file_or_text: str) -> str:
    """A template given as a file's path or as text. Raises `TemplateError`."""
    if "{" in file_or_text:
        return file_or_text
    try:
        return Path(file_or_text).expanduser().read_text(encoding="utf-8")
    except OSError as error:
        raise TemplateError(Setting("chat_template", file_or_text), f" cannot be read: {error.strerror}") from None
