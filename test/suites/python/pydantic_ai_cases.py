"""pydantic-ai with the models that the relay can stand behind."""

from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, ModelHTTPError, NativeOutput, ToolOutput
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.ollama import OllamaProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings

from harness import BASE, MODEL, case, run

TASK = "Use the get_weather tool for Rome."
# A pixel.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c63fccff0bf1e0005050200 5fc8f1d20000000049454e44ae426082".replace(" ", "")
)


class Person(BaseModel):
    name: str
    age: int


def get_weather(city: str) -> str:
    """Weather of a city."""
    return f"sunny in {city}"


def models(name=MODEL):
    provider = OpenAIProvider(base_url=f"{BASE}/v1", api_key="any")
    return [
        OpenAIChatModel(name, provider=provider),
        OpenAIResponsesModel(name, provider=provider),
        OpenAIChatModel(name, provider=OllamaProvider(base_url=f"{BASE}/v1")),
        # It knows no model of this name as one that can answer by a schema.
        AnthropicModel(
            name,
            provider=AnthropicProvider(base_url=BASE, api_key="any"),
            profile=ModelProfile(supports_json_schema_output=True),
        ),
    ]


def named(model):
    return f"{type(model).__name__} of {model.system}"


@case
async def answers():
    for model in models():
        result = await Agent(model).run("hello one")
        assert "hello one" in result.output, named(model)


@case
async def answers_piece_by_piece():
    for model in models():
        async with Agent(model).run_stream("hello two") as result:
            text = "".join([piece async for piece in result.stream_text(delta=True)])
        assert "hello two" in text, named(model)


@case
async def usage_is_told():
    for model in models():
        result = await Agent(model).run("hello")
        usage = result.usage() if callable(result.usage) else result.usage
        assert usage.input_tokens > 0 and usage.output_tokens > 0, named(model)


@case
async def tools():
    for model in models():
        assert "sunny" in (await Agent(model, tools=[get_weather]).run(TASK)).output, named(model)


@case
async def tools_in_a_stream_of_events():
    for model in models():
        agent = Agent(model, tools=[get_weather])
        kinds = set()
        async with agent.iter(TASK) as steps:
            async for node in steps:
                if Agent.is_model_request_node(node):
                    async with node.stream(steps.ctx) as events:
                        kinds |= {event.event_kind async for event in events}
        assert {"part_start", "part_delta"} <= kinds and "sunny" in steps.result.output, named(model)


@case
async def a_history_goes_on():
    for model in models():
        agent = Agent(model, tools=[get_weather])
        first = await agent.run(TASK)
        second = await agent.run("hello three", message_history=first.all_messages())
        assert "hello three" in second.output, named(model)


@case
async def a_history_of_one_model_goes_on_with_another():
    for before in models():
        first = await Agent(before, tools=[get_weather]).run(TASK)
        for after in models():
            agent = Agent(after, tools=[get_weather])
            second = await agent.run("hello four", message_history=first.all_messages())
            assert "hello four" in second.output, f"{named(before)}, then {named(after)}"


@case
async def objects_in_each_mode():
    for model in models():
        for kind in (ToolOutput, NativeOutput):
            result = await Agent(model, output_type=kind(Person)).run("Who?")
            assert isinstance(result.output, Person), f"{named(model)}, {kind.__name__}"


@case
async def images():
    for model in models():
        result = await Agent(model).run(["What is this?", BinaryContent(PNG, media_type="image/png")])
        assert result.output, named(model)


@case
async def settings_of_a_model():
    settings = ModelSettings(max_tokens=500, temperature=0.2, parallel_tool_calls=False, timeout=60)
    for model in models():
        agent = Agent(model, tools=[get_weather], model_settings=settings)
        assert "sunny" in (await agent.run(TASK)).output, named(model)


@case
async def a_model_that_there_is_not():
    for model in models("no-such-model"):
        try:
            await Agent(model).run("hello")
        except ModelHTTPError as error:
            assert error.status_code == 404, f"{named(model)}: {error}"
        else:
            raise AssertionError(f"{named(model)}: no error")


run()
