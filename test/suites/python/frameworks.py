import asyncio

from pydantic import BaseModel

from harness import BASE, MODEL, case, run

V1 = f"{BASE}/v1"
TASK = "Use the get_weather tool for Rome."


class Person(BaseModel):
    name: str
    age: int


def get_weather(city: str) -> str:
    """Weather of a city."""
    return f"sunny in {city}"


@case
def langchain_openai():
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    for more in ({}, {"use_responses_api": True}):
        model = ChatOpenAI(base_url=V1, api_key="any", model=MODEL, **more)
        assert "hello" in model.invoke("hello").text
        assert "hello" in "".join(chunk.text for chunk in model.stream("hello"))
        assert isinstance(model.with_structured_output(Person).invoke("Who?"), Person)
        bound = model.bind_tools([tool(get_weather)])
        first = bound.invoke([HumanMessage(TASK)])
        call = first.tool_calls[0]
        result = ToolMessage(get_weather(**call["args"]), tool_call_id=call["id"])
        assert "sunny" in bound.invoke([HumanMessage(TASK), first, result]).text


@case
def langchain_anthropic():
    from langchain_anthropic import ChatAnthropic
    from langchain_core.tools import tool

    model = ChatAnthropic(base_url=BASE, api_key="any", model=MODEL, max_tokens=1000)
    assert "hello" in model.invoke("hello").text
    assert "hello" in "".join(chunk.text for chunk in model.stream("hello"))
    assert model.bind_tools([tool(get_weather)]).invoke(TASK).tool_calls


@case
def langchain_ollama():
    from langchain_core.tools import tool
    from langchain_ollama import ChatOllama

    model = ChatOllama(base_url=BASE, model=MODEL)
    assert "hello" in model.invoke("hello").text
    assert model.bind_tools([tool(get_weather)]).invoke(TASK).tool_calls
    assert isinstance(model.with_structured_output(Person).invoke("Who?"), Person)


@case
def pydantic_ai_chat_responses_and_anthropic():
    from pydantic_ai import Agent
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.anthropic import AnthropicProvider
    from pydantic_ai.providers.openai import OpenAIProvider

    provider = OpenAIProvider(base_url=V1, api_key="any")
    models = [
        OpenAIChatModel(MODEL, provider=provider),
        OpenAIResponsesModel(MODEL, provider=provider),
        AnthropicModel(MODEL, provider=AnthropicProvider(base_url=BASE, api_key="any")),
    ]
    for model in models:
        agent = Agent(model, tools=[get_weather])
        assert "sunny" in agent.run_sync(TASK).output, type(model).__name__
        assert isinstance(Agent(model, output_type=Person).run_sync("Who?").output, Person), type(model).__name__


@case
def openai_agents():
    from agents import Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
    from openai import AsyncOpenAI

    set_tracing_disabled(True)

    async def ask(kind):
        client = AsyncOpenAI(base_url=V1, api_key="any")
        agent = Agent(name="a", instructions="Help.", tools=[function_tool(get_weather)], model=kind(MODEL, client))
        whole = (await Runner.run(agent, TASK)).final_output
        streamed = Runner.run_streamed(agent, TASK)
        async for _ in streamed.stream_events():
            pass
        return whole, streamed.final_output

    for kind in (OpenAIChatCompletionsModel, OpenAIResponsesModel):
        whole, streamed = asyncio.run(ask(kind))
        assert "sunny" in whole and "sunny" in streamed, kind.__name__


run()
