"""OpenAI's Agents SDK over both of its APIs."""

from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    SQLiteSession,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from openai.types.shared import Reasoning
from pydantic import BaseModel

from harness import BASE, MODEL, case, run

TASK = "Use the get_weather tool for Rome."
APIS = (OpenAIChatCompletionsModel, OpenAIResponsesModel)

set_tracing_disabled(True)


class Person(BaseModel):
    name: str
    age: int


@function_tool
def get_weather(city: str) -> str:
    """Weather of a city."""
    return f"sunny in {city}"


def agent(api, **more):
    client = AsyncOpenAI(base_url=f"{BASE}/v1", api_key="any", max_retries=0)
    return Agent(name="one", instructions="Help.", model=api(MODEL, client), **more)


@case
async def answers():
    for api in APIS:
        result = await Runner.run(agent(api), "hello one")
        assert "hello one" in result.final_output, api
        assert result.context_wrapper.usage.output_tokens > 0, api


@case
async def answers_piece_by_piece():
    for api in APIS:
        result = Runner.run_streamed(agent(api), "hello two")
        kinds = [event.data.type async for event in result.stream_events() if event.type == "raw_response_event"]
        assert "response.output_text.delta" in kinds and "hello two" in result.final_output, api


@case
async def tools():
    for api in APIS:
        assert "sunny" in (await Runner.run(agent(api, tools=[get_weather]), TASK)).final_output, api


@case
async def tools_streamed():
    for api in APIS:
        result = Runner.run_streamed(agent(api, tools=[get_weather]), TASK)
        names = [event.name async for event in result.stream_events() if event.type == "run_item_stream_event"]
        assert {"tool_called", "tool_output"} <= set(names) and "sunny" in result.final_output, api


@case
async def a_session_goes_on():
    for api in APIS:
        session = SQLiteSession("a")
        await Runner.run(agent(api, tools=[get_weather]), TASK, session=session)
        assert "hello three" in (await Runner.run(agent(api), "hello three", session=session)).final_output, api


@case
async def a_handoff():
    for api in APIS:
        second = agent(api).clone(name="second")
        result = await Runner.run(agent(api, handoffs=[second]), "call transfer_to_second")
        assert result.last_agent.name == "second", api


@case
async def an_agent_as_a_tool():
    for api in APIS:
        helper = agent(api).as_tool(tool_name="helper", tool_description="Helps")
        result = await Runner.run(agent(api, tools=[helper]), 'call helper {"input":"hello four"}')
        assert "hello four" in result.final_output, api


@case
async def answers_by_a_schema():
    for api in APIS:
        assert isinstance((await Runner.run(agent(api, output_type=Person), "Who?")).final_output, Person), api


@case
async def settings_of_a_model():
    settings = ModelSettings(
        max_tokens=500,
        parallel_tool_calls=False,
        reasoning=Reasoning(effort="high", summary="auto"),
        temperature=0.2,
        tool_choice="required",
        verbosity="low",
        store=False,
    )
    for api in APIS:
        result = await Runner.run(agent(api, tools=[get_weather], model_settings=settings), TASK)
        assert "sunny" in result.final_output, api


run()
