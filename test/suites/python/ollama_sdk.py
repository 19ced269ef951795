import asyncio

import ollama
from pydantic import BaseModel

from harness import BASE, MODEL, case, raises, run

client = ollama.Client(host=BASE)


def said(text):
    return [{"role": "user", "content": text}]


def get_weather(city: str) -> str:
    """Weather of a city.

    Args:
        city: the city
    """
    return f"sunny in {city}"


@case
def list_show_and_ps():
    names = [model.model for model in client.list().models]
    assert any(name.startswith(MODEL) for name in names), names
    shown = client.show(MODEL)
    assert shown.capabilities and "tools" in shown.capabilities
    client.ps()


@case
def chat_whole_and_streamed():
    assert "hello" in client.chat(MODEL, said("hello")).message.content
    parts = list(client.chat(MODEL, said("hello stream"), stream=True))
    assert parts[-1].done and "hello stream" in "".join(part.message.content or "" for part in parts)
    assert parts[-1].eval_count and parts[-1].prompt_eval_count


@case
def tool_round_trip_with_a_function():
    messages = said("Use the get_weather tool for Rome.")
    first = client.chat(MODEL, messages, tools=[get_weather])
    call = first.message.tool_calls[0]
    assert call.function.name == "get_weather"
    messages += [first.message, {"role": "tool", "tool_name": "get_weather", "content": get_weather(**call.function.arguments)}]
    assert "sunny" in client.chat(MODEL, messages, tools=[get_weather]).message.content


@case
def structured_output():
    class Person(BaseModel):
        name: str
        age: int

    reply = client.chat(MODEL, said("Who?"), format=Person.model_json_schema())
    Person.model_validate_json(reply.message.content)


@case
def think_and_options():
    reply = client.chat(MODEL, said("think"), think="high", options={"temperature": 0.1, "num_ctx": 4096}, keep_alive="5m")
    assert reply.message.thinking, reply.message


@case
def generate_whole_streamed_and_json():
    assert client.generate(MODEL, "hello").response
    assert list(client.generate(MODEL, "hello", stream=True))[-1].done
    assert client.generate(MODEL, "json", format="json").response.startswith("{")


@case
def errors_are_response_errors():
    assert raises(ollama.ResponseError, lambda: client.chat("nobody", said("x"))).status_code == 404
    assert raises(ollama.ResponseError, lambda: client.embed(MODEL, "x")).status_code >= 400
    assert raises(ollama.ResponseError, lambda: client.chat(MODEL, said("fault:usage_limit"))).status_code == 429
    client.pull(MODEL)


@case
def asynchronous():
    async def ask():
        parts = [part async for part in await ollama.AsyncClient(host=BASE).chat(MODEL, said("hello"), stream=True)]
        return "".join(part.message.content or "" for part in parts)

    assert "hello" in asyncio.run(ask())


run()
