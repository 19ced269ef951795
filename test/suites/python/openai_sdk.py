import asyncio
import base64
from typing import List

import openai
from pydantic import BaseModel

from harness import BASE, MODEL, case, raises, run

client = openai.OpenAI(base_url=f"{BASE}/v1", api_key="any", max_retries=0)
later = lambda: openai.AsyncOpenAI(base_url=f"{BASE}/v1", api_key="any", max_retries=0)
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
FLAT = {"type": "function", "strict": False, **WEATHER["function"]}


class Person(BaseModel):
    name: str
    age: int
    tags: List[str]


def said(text):
    return [{"role": "user", "content": text}]


@case
def models_list_and_one():
    ids = [model.id for model in client.models.list()]
    assert MODEL in ids, ids
    assert client.models.retrieve(MODEL).id == MODEL


@case
def chat_whole():
    reply = client.chat.completions.create(model=MODEL, messages=said("hello"))
    assert reply.choices[0].finish_reason == "stop"
    assert "hello" in reply.choices[0].message.content
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens > 0


@case
def chat_streamed_with_usage():
    text, usage, finish = "", None, None
    stream = client.chat.completions.create(
        model=MODEL, messages=said("hello stream"), stream=True, stream_options={"include_usage": True}
    )
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
    assert "hello stream" in text and finish == "stop" and usage.total_tokens > 0


@case
def chat_stream_helper_with_events():
    kinds = set()
    with client.chat.completions.stream(model=MODEL, messages=said("hello helper")) as stream:
        for event in stream:
            kinds.add(event.type)
        final = stream.get_final_completion()
    assert "content.delta" in kinds and "content.done" in kinds, kinds
    assert "hello helper" in final.choices[0].message.content


@case
def chat_parse_with_a_model_class():
    reply = client.chat.completions.parse(model=MODEL, messages=said("Who?"), response_format=Person)
    assert isinstance(reply.choices[0].message.parsed, Person)


@case
def chat_stream_parse_with_a_model_class():
    with client.chat.completions.stream(model=MODEL, messages=said("Who?"), response_format=Person) as stream:
        for _ in stream:
            pass
        assert isinstance(stream.get_final_completion().choices[0].message.parsed, Person)


@case
def chat_tool_round_trip():
    messages = said("Use the get_weather tool for Rome.")
    first = client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER])
    call = first.choices[0].message.tool_calls[0]
    assert first.choices[0].finish_reason == "tool_calls" and call.function.name == "get_weather"
    messages += [first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    second = client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER])
    assert "sunny" in second.choices[0].message.content


@case
def chat_tool_by_pydantic_function_tool():
    class GetWeather(BaseModel):
        city: str

    tool = openai.pydantic_function_tool(GetWeather)
    reply = client.chat.completions.parse(
        model=MODEL, messages=said("Use the GetWeather tool for Rome."), tools=[tool], tool_choice="required"
    )
    assert isinstance(reply.choices[0].message.tool_calls[0].function.parsed_arguments, GetWeather)


@case
def chat_image():
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "low"}},
    ]
    assert client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": content}]).choices


@case
def chat_json_object():
    import json

    reply = client.chat.completions.create(
        model=MODEL, messages=said("Answer in JSON."), response_format={"type": "json_object"}
    )
    json.loads(reply.choices[0].message.content)


@case
def chat_async_many_at_once():
    async def many():
        async with later() as asynchronous:
            replies = await asyncio.gather(
                *[asynchronous.chat.completions.create(model=MODEL, messages=said(f"number {n}")) for n in range(12)]
            )
            return [reply.choices[0].message.content for reply in replies]

    assert all(f"number {n}" in text for n, text in enumerate(asyncio.run(many())))


@case
def chat_raw_response_has_the_request_id():
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=said("hello"))
    assert raw.headers["x-request-id"] and raw.parse().choices
    assert raw.parse()._request_id or raw.request_id


@case
def chat_legacy_functions():
    reply = client.chat.completions.create(
        model=MODEL, messages=said("Use the get_weather tool for Rome."), functions=[WEATHER["function"]]
    )
    message = reply.choices[0].message
    assert message.function_call or message.tool_calls


@case
def errors_are_the_classes_that_callers_catch():
    missing = raises(
        openai.NotFoundError, lambda: client.chat.completions.create(model="gpt-nobody", messages=said("x"))
    )
    assert missing.code == "model_not_found", missing.code
    limit = raises(
        openai.RateLimitError, lambda: client.chat.completions.create(model=MODEL, messages=said("fault:usage_limit"))
    )
    assert limit.code == "usage_limit_reached" and limit.response.headers["retry-after"]
    raises(openai.BadRequestError, lambda: client.chat.completions.create(model=MODEL, messages=[]))
    long = raises(
        openai.BadRequestError,
        lambda: client.chat.completions.create(model=MODEL, messages=said("fault:context_length")),
    )
    assert long.code == "context_length_exceeded", long.code
    raises(
        openai.APIError,
        lambda: [
            chunk
            for chunk in client.chat.completions.create(model=MODEL, messages=said("fault:cut"), stream=True)
        ],
    )
    wrong = openai.OpenAI(base_url=f"{BASE}/v1", api_key="any", max_retries=0)
    raises(openai.APIStatusError, lambda: wrong.embeddings.create(model="text-embedding-3-small", input="x"))
    raises(openai.APIStatusError, lambda: wrong.files.list())


@case
def completions():
    reply = client.completions.create(model=MODEL, prompt="Say hello")
    assert reply.choices[0].text
    assert [chunk for chunk in client.completions.create(model=MODEL, prompt="Say hello", stream=True)]


@case
def responses_whole_stored_and_continued():
    first = client.responses.create(model=MODEL, input="remember the word kiwi")
    assert first.status == "completed" and first.output_text
    second = client.responses.create(model=MODEL, input="which word?", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert client.responses.retrieve(first.id).output_text == first.output_text
    items = list(client.responses.input_items.list(second.id))
    assert items
    client.responses.delete(second.id)
    raises(openai.NotFoundError, lambda: client.responses.retrieve(second.id))


@case
def responses_streamed():
    kinds = []
    with client.responses.stream(model=MODEL, input="hello stream") as stream:
        for event in stream:
            kinds.append(event.type)
        final = stream.get_final_response()
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed", kinds
    assert "hello stream" in final.output_text


@case
def responses_parse_with_a_model_class():
    reply = client.responses.parse(model=MODEL, input="Who?", text_format=Person)
    assert isinstance(reply.output_parsed, Person)


@case
def responses_tool_round_trip():
    history = [{"role": "user", "content": "Use the get_weather tool for Rome."}]
    first = client.responses.create(model=MODEL, input=history, tools=[FLAT])
    call = next(item for item in first.output if item.type == "function_call")
    history += first.output
    history.append({"type": "function_call_output", "call_id": call.call_id, "output": "sunny"})
    second = client.responses.create(model=MODEL, input=history, tools=[FLAT])
    assert "sunny" in second.output_text


@case
def responses_dumped_output_as_input():
    first = client.responses.create(model=MODEL, input="hello")
    history = [{"role": "user", "content": "hello"}, *[item.model_dump() for item in first.output]]
    assert client.responses.create(model=MODEL, input=[*history, {"role": "user", "content": "again"}]).output_text


@case
def responses_reasoning_and_fields():
    reply = client.responses.create(
        model=MODEL,
        input="think",
        reasoning={"effort": "low", "summary": "auto"},
        text={"verbosity": "low"},
        max_output_tokens=4000,
        metadata={"a": "b"},
        include=["reasoning.encrypted_content"],
        store=False,
        truncation="auto",
    )
    assert reply.output_text and reply.metadata == {"a": "b"}, reply.metadata


@case
def responses_async_stream():
    async def events():
        async with later() as asynchronous:
            stream = await asynchronous.responses.create(model=MODEL, input="hello", stream=True)
            return [event.type async for event in stream]

    assert "response.output_text.delta" in asyncio.run(events())


@case
def images_and_transcription():
    image = client.images.generate(model="gpt-image-1", prompt="a cat", response_format="b64_json")
    assert base64.b64decode(image.data[0].b64_json)
    text = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", b"RIFF0000WAVEfmt ", "audio/wav"))
    assert text.text


run()
