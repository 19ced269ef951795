import asyncio
import base64

import anthropic
from pydantic import BaseModel

from harness import BASE, MODEL, case, raises, run

client = anthropic.Anthropic(base_url=BASE, api_key="any", max_retries=0)
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WEATHER = {
    "name": "get_weather",
    "description": "Weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def said(text):
    return [{"role": "user", "content": text}]


@case
def models_list():
    assert [model.id for model in client.models.list()]


@case
def message_whole():
    reply = client.messages.create(model=MODEL, max_tokens=1000, messages=said("hello"))
    assert reply.stop_reason == "end_turn" and "hello" in reply.content[-1].text
    assert reply.usage.input_tokens > 0 and reply.usage.output_tokens > 0


@case
def a_claude_name_is_answered():
    reply = client.messages.create(model="claude-sonnet-4-5", max_tokens=1000, messages=said("hello"))
    assert reply.content


@case
def message_streamed():
    with client.messages.stream(model=MODEL, max_tokens=1000, messages=said("hello stream")) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert "hello stream" in text and final.stop_reason == "end_turn" and final.usage.output_tokens > 0


@case
def events_come_in_the_documented_order():
    stream = client.messages.create(model=MODEL, max_tokens=1000, messages=said("hello"), stream=True)
    kinds = [event.type for event in stream]
    assert kinds[0] == "message_start" and kinds[-2:] == ["message_delta", "message_stop"], kinds
    opened = 0
    for kind in kinds:
        opened += {"content_block_start": 1, "content_block_stop": -1}.get(kind, 0)
        assert 0 <= opened <= 1, kinds


@case
def tool_round_trip():
    messages = said("Use the get_weather tool for Rome.")
    first = client.messages.create(model=MODEL, max_tokens=1000, messages=messages, tools=[WEATHER])
    assert first.stop_reason == "tool_use", first.stop_reason
    use = next(block for block in first.content if block.type == "tool_use")
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "sunny"}
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = client.messages.create(model=MODEL, max_tokens=1000, messages=messages, tools=[WEATHER])
    assert "sunny" in second.content[-1].text


@case
def tool_runner():
    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """Weather of a city.

        Args:
            city: the city
        """
        return f"sunny in {city}"

    runner = client.beta.messages.tool_runner(
        model=MODEL, max_tokens=1000, tools=[get_weather], messages=said("Use the get_weather tool for Rome.")
    )
    final = runner.until_done()
    assert "sunny" in final.content[-1].text


@case
def structured_output():
    class Person(BaseModel):
        name: str
        age: int

    reply = client.messages.parse(model=MODEL, max_tokens=1000, messages=said("Who?"), output_format=Person)
    assert isinstance(reply.parsed_output, Person)


@case
def thinking_is_replayed():
    thinking = {"type": "enabled", "budget_tokens": 2000}
    first = client.messages.create(model=MODEL, max_tokens=4000, thinking=thinking, messages=said("think"))
    assert any(block.type == "thinking" for block in first.content), [block.type for block in first.content]
    messages = [*said("think"), {"role": "assistant", "content": first.content}, *said("more")]
    assert client.messages.create(model=MODEL, max_tokens=4000, thinking=thinking, messages=messages).content


@case
def images_and_documents():
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    pdf = base64.b64encode(b"%PDF-1.4\n").decode()
    document = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": pdf}}
    content = [image, document, {"type": "text", "text": "What is this?"}]
    assert client.messages.create(model=MODEL, max_tokens=1000, messages=[{"role": "user", "content": content}]).content


@case
def system_cache_control_and_stop_sequences():
    system = [{"type": "text", "text": "Be short.", "cache_control": {"type": "ephemeral"}}]
    reply = client.messages.create(
        model=MODEL, max_tokens=1000, system=system, messages=said("hello STOP there"), stop_sequences=["STOP"]
    )
    assert reply.stop_reason == "stop_sequence" and reply.stop_sequence == "STOP"


@case
def count_tokens():
    assert client.messages.count_tokens(model=MODEL, messages=said("hello"), tools=[WEATHER]).input_tokens > 0


@case
def errors_are_the_classes_that_callers_catch():
    ask = lambda text, model=MODEL: client.messages.create(model=model, max_tokens=100, messages=said(text))
    raises(anthropic.NotFoundError, lambda: ask("x", "claude-nobody-9"[:0] + "gpt-nobody"))
    limit = raises(anthropic.RateLimitError, lambda: ask("fault:usage_limit"))
    assert limit.response.headers["retry-after"]
    raises(anthropic.BadRequestError, lambda: ask("fault:context_length"))
    raises(anthropic.BadRequestError, lambda: client.messages.create(model=MODEL, max_tokens=100, messages=[]))
    raises(anthropic.APIStatusError, lambda: ask("fault:http_overload"))
    raises(anthropic.APIError, lambda: list(client.messages.create(model=MODEL, max_tokens=9, messages=said("fault:cut"), stream=True)))


@case
def asynchronous():
    async def ask():
        async with anthropic.AsyncAnthropic(base_url=BASE, api_key="any", max_retries=0) as later:
            async with later.messages.stream(model=MODEL, max_tokens=1000, messages=said("hello")) as stream:
                return await stream.get_final_text()

    assert "hello" in asyncio.run(ask())


run()
