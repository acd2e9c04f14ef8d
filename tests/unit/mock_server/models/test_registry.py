from __future__ import annotations

import asyncio

import pytest

from mock_server.engine.base import Adapter
from mock_server.engine.errors import EngineError
from mock_server.errors import ApiError
from mock_server.models.registry import ModelRegistry, Target
from mock_server.request_limits import MAX_LOADED_ADAPTERS
from mock_server.settings import ServerSettings
from tests.support.serving import scripted_engine


def registry() -> ModelRegistry:
    settings = ServerSettings(model_names=("base", "org/alias"), adapters=(Adapter("my_tuner", "/a"), Adapter("other")))
    made = ModelRegistry(settings, scripted_engine(max_model_len=100), created=7)
    asyncio.run(made.add_adapters())
    return made


REGISTRY = registry()


@pytest.mark.parametrize(
    ("name", "target"),
    [
        (None, Target("base", None)),
        ("base", Target("base", None)),
        ("org/alias", Target("org/alias", None)),
        ("my_tuner", Target("my_tuner", "my_tuner")),
    ],
)
def test_a_request_chooses_base_or_adapter_by_name(name: str | None, target: Target) -> None:
    assert REGISTRY.resolve(name) == target


def test_the_error_for_an_unknown_name_lists_served_names_and_the_nearest() -> None:
    with pytest.raises(ApiError) as caught:
        REGISTRY.resolve("my-tuner")
    assert (caught.value.status, caught.value.param, caught.value.code) == (404, "model", "model_not_found")
    assert caught.value.message == (
        "The model 'my-tuner' does not exist. Served here: base, org/alias, my_tuner, other. Did you mean my_tuner?"
    )
    with pytest.raises(ApiError) as caught:
        REGISTRY.resolve("z" * 10_000)
    assert "Did you mean" not in caught.value.message
    assert len(caught.value.message) < 400


def test_no_name_is_the_base_unless_one_is_required() -> None:
    assert REGISTRY.resolve(None) == Target("base", None)
    strict = ModelRegistry(ServerSettings(model_names=("base",), require_model=True), scripted_engine(), created=7)
    with pytest.raises(ApiError, match=r"model is required\. Served here: base\.") as caught:
        strict.resolve(None)
    assert (caught.value.status, caught.value.param) == (400, "model")


def test_cards_list_the_base_first_and_adapters_under_it() -> None:
    cards = [(card.id, card.parent, card.root) for card in REGISTRY.cards()]
    assert cards == [
        ("base", None, "base"),
        ("org/alias", None, "org/alias"),
        ("my_tuner", "base", "a"),
        ("other", "base", "other"),
    ]
    assert REGISTRY.card("my_tuner").json_bytes() == (
        b'{"id":"my_tuner","object":"model","created":7,"owned_by":"streamgauge","root":"a","parent":"base",'
        b'"max_model_len":100,"is_chat":true,"is_multimodal":false}'
    )


@pytest.mark.parametrize(
    ("path", "root"),
    [
        ("org/model", "org/model"),
        ("/models/mine", "mine"),
        ("/models/mine/", "mine"),
        ("~/mine", "mine"),
        ("./mine", "mine"),
        ("a/b/c", "c"),
        ("tests/unit", "unit"),
        ("", "base"),
        ("/", "base"),
        ("/models/a\x1b[2J", "base"),
    ],
)
def test_a_card_shows_a_hub_id_but_not_the_path_of_a_folder(path: str, root: str) -> None:
    models = ModelRegistry(ServerSettings(model_names=("base",), model_path=path), scripted_engine(), created=7)
    assert models.card("base").root == root


def test_adapters_are_added_and_removed_in_the_engine_and_the_list_together() -> None:
    async def main() -> None:
        engine = scripted_engine()
        models = ModelRegistry(ServerSettings(model_names=("base",)), engine, created=7)
        await models.load(Adapter("tuner", "/a"))
        assert models.resolve("tuner") == Target("tuner", "tuner")
        with pytest.raises(ApiError, match="already been loaded"):
            await models.load(Adapter("tuner", "/b"))
        await models.load(Adapter("tuner", "/b"), in_place=True)
        assert models.card("tuner").root == "b"
        await models.unload("tuner")
        with pytest.raises(ApiError, match="does not exist"):
            models.resolve("tuner")
        with pytest.raises(ApiError, match=r"cannot be found\. Adapters served here: none") as gone:
            await models.unload("tuner")
        assert gone.value.status == 404
        with pytest.raises(EngineError, match="not loaded"):
            engine.check_adapter("tuner")  # type: ignore[attr-defined]

    asyncio.run(main())


def test_only_so_many_adapters_may_be_loaded_besides_the_first_ones() -> None:
    async def main() -> None:
        adapters = (Adapter("my_tuner"), Adapter("other"))
        models = ModelRegistry(ServerSettings(adapters=adapters), scripted_engine(), created=7)
        await models.add_adapters()
        for number in range(MAX_LOADED_ADAPTERS):
            await models.load(Adapter(f"a{number}"))
        with pytest.raises(ApiError, match=r"already has 66 adapters\. It accepts at most 64 more than") as caught:
            await models.load(Adapter("more"))
        error = caught.value
        assert (error.status, error.param, error.code) == (400, "lora_name", "too_many_adapters")
        assert "Unload one first" in error.message
        await models.load(Adapter("a0", "/b"), in_place=True)
        await models.unload("a1")
        await models.load(Adapter("more"))

    asyncio.run(main())


def test_long_names_are_not_compared() -> None:
    """Comparing two names of 250 characters takes milliseconds, and any number of them may be served."""
    models = ModelRegistry(ServerSettings(model_names=("base", "a" * 64, "b" * 65)), scripted_engine(), created=7)
    for name, is_compared in (("a" * 60, True), ("a" * 65, False), ("b" * 64, False)):
        with pytest.raises(ApiError, match="does not exist") as caught:
            models.resolve(name)
        assert ("Did you mean" in caught.value.message) == is_compared


@pytest.mark.parametrize(("name", "says"), [("a b", "neither spaces"), ("", "empty")])
def test_invalid_names_of_adapters_are_refused(name: str, says: str) -> None:
    with pytest.raises(ApiError, match=says) as caught:
        asyncio.run(REGISTRY.load(Adapter(name, "/x")))
    assert (caught.value.status, caught.value.param) == (400, "lora_name")


def test_the_base_models_name_is_taken() -> None:
    with pytest.raises(ApiError, match="base model's name") as caught:
        asyncio.run(REGISTRY.load(Adapter("base", "/x")))
    assert (caught.value.status, caught.value.param) == (409, "lora_name")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"model_names": ()}, "must not be empty"),
        ({"model_names": ("",)}, "must not be empty"),
        ({"adapters": (Adapter(""),)}, "must not be empty"),
        ({"model_names": ("a b",)}, "neither spaces nor commas"),
        ({"adapters": (Adapter("a,b"),)}, "neither spaces nor commas"),
        ({"model_names": ("a", "a")}, "'a' is given twice"),
        ({"model_names": ("a",), "adapters": (Adapter("a"),)}, "'a' is given twice"),
    ],
)
def test_names_that_clash_are_refused(settings: dict[str, tuple[object, ...]], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ServerSettings(**settings)  # type: ignore[arg-type]


def test_keys_are_not_shown() -> None:
    assert "secret" not in repr(ServerSettings(api_keys=("secret",)))
