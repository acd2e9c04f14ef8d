"""The words of the page in English and Chinese. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """The texts of one language. Those with `{…}` are formats."""

    name: str
    new_chat: str
    history: str
    no_history: str
    delete_chat: str
    delete_sure: str
    settings: str
    model: str
    reload_models: str
    system: str
    system_hint: str
    by_default: str
    temperature: str
    top_p: str
    top_k: str
    max_tokens: str
    seed: str
    language: str
    appearance: str
    as_system: str
    light: str
    dark: str
    ask: str
    complete: str
    greeting: str
    greeting_base: str
    thoughts: str
    tokens: str
    one: str
    tokens_per_s: str
    ttft: str
    stopped: str
    cut_off: str
    interrupted: str
    no_text: str
    failed: str
    no_models: str
    storage_full: str
    out_of_range: str
    busy: str


ENGLISH = Words(
    name="English",
    new_chat="New chat",
    history="Conversations",
    no_history="Conversations stay in this browser.",
    delete_chat="Delete this conversation",
    delete_sure="Delete this conversation?",
    settings="Settings",
    model="Model",
    reload_models="Reload the models",
    system="System prompt",
    system_hint="What the model should know or how it should answer",
    by_default="default",
    temperature="Temperature",
    top_p="Top p",
    top_k="Top k",
    max_tokens="Max tokens",
    seed="Seed",
    language="Language",
    appearance="Appearance",
    as_system="System",
    light="Light",
    dark="Dark",
    ask="Message",
    complete="Text to continue",
    greeting="What would you like to ask?",
    greeting_base="This is a base model. It continues the text that you write; it does not see earlier messages.",
    thoughts="Thoughts",
    tokens="{count} tokens",
    one="1 token",
    tokens_per_s="{rate} tokens/s",
    ttft="TTFT {time}",
    stopped="stopped",
    cut_off="cut off at the token limit",
    interrupted="interrupted",
    no_text="The model answered without any text.",
    failed="No complete answer:",
    no_models="The list of models could not be loaded:",
    storage_full="The browser's storage is full, so this conversation is not saved. Delete another one.",
    out_of_range="{field} must be in the range {wanted} (got {value}).",
    busy="An answer is still arriving. Stop it first.",
)
CHINESE = Words(
    name="中文",
    new_chat="新对话",
    history="对话记录",
    no_history="对话保存在本浏览器中。",
    delete_chat="删除此对话",
    delete_sure="确定删除此对话吗?",
    settings="设置",
    model="模型",
    reload_models="刷新模型列表",
    system="系统提示词",
    system_hint="模型的身份、背景信息或回答方式",
    by_default="默认",
    temperature="温度",
    top_p="Top p",
    top_k="Top k",
    max_tokens="最大 token 数",
    seed="随机种子",
    language="语言",
    appearance="外观",
    as_system="跟随系统",
    light="浅色",
    dark="深色",
    ask="输入消息",
    complete="输入要续写的文本",
    greeting="想问些什么?",
    greeting_base="这是基座模型:它会续写你输入的文本,看不到之前的消息。",
    thoughts="思考过程",
    tokens="{count} 个 token",
    one="1 个 token",
    tokens_per_s="{rate} token/秒",
    ttft="首个 token {time}",
    stopped="已停止",
    cut_off="达到 token 上限,回答被截断",
    interrupted="已中断",
    no_text="模型没有返回任何文本。",
    failed="回答未完成:",
    no_models="无法加载模型列表:",
    storage_full="浏览器存储空间已满,此对话未保存。请先删除其他对话。",
    out_of_range="{field}必须在 {wanted} 范围内(当前为 {value})。",
    busy="回答仍在生成,请先停止。",
)
LANGUAGES = {"en": ENGLISH, "zh": CHINESE}
"""By their codes, the default first."""


def language_of(tag: object) -> str:
    """The code of the page's language for a browser's language tag, such as zh-CN."""
    code = str(tag or "").replace("_", "-").partition("-")[0].lower()
    return code if code in LANGUAGES else next(iter(LANGUAGES))


def words_of(language: object) -> Words:
    return LANGUAGES[language_of(language)]
