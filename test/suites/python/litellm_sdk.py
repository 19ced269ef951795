import asyncio
import json

import litellm

from harness import BASE, MODEL, case, raises, run

litellm.suppress_debug_info = True
WAYS = {
    "openai": {"model": f"openai/{MODEL}", "api_base": f"{BASE}/v1"},
    "hosted_vllm": {"model": f"hosted_vllm/{MODEL}", "api_base": f"{BASE}/v1"},
    "openai responses": {"model": f"openai/responses/{MODEL}", "api_base": f"{BASE}/v1"},
    "anthropic": {"model": f"anthropic/{MODEL}", "api_base": BASE},
    "ollama": {"model": f"ollama_chat/{MODEL}", "api_base": BASE},
}
TASK = "Use the get_weather tool for Rome."
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
# A pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="


def user(content):
    return {"role": "user", "content": content}


def ask(way, text, **more):
    messages = text if isinstance(text, list) else [user(text)]
    return litellm.completion(messages=messages, api_key="any", num_retries=0, **WAYS[way], **more)


@case
def whole_by_each_way():
    for way in WAYS:
        reply = ask(way, "hello")
        assert "hello" in reply.choices[0].message.content, way
        assert reply.choices[0].finish_reason == "stop" and reply.usage.completion_tokens > 0, way


@case
def streamed_by_each_way():
    for way in WAYS:
        chunks = list(ask(way, "hello", stream=True, stream_options={"include_usage": True}))
        whole = litellm.stream_chunk_builder(chunks)
        assert "hello" in whole.choices[0].message.content and whole.usage.completion_tokens > 0, way


@case
def asynchronous_by_each_way():
    async def all_of_them():
        calls = [litellm.acompletion(messages=[user("hello")], api_key="any", **way) for way in WAYS.values()]
        return await asyncio.gather(*calls)

    for reply in asyncio.run(all_of_them()):
        assert "hello" in reply.choices[0].message.content


@case
def tools_by_each_way():
    for way in WAYS:
        first = ask(way, TASK, tools=[WEATHER]).choices[0].message
        call = first.tool_calls[0]
        assert call.function.name == "get_weather", way
        result = {"role": "tool", "tool_call_id": call.id, "name": "get_weather", "content": "sunny"}
        second = ask(way, [user(TASK), first.model_dump(exclude_none=True), result], tools=[WEATHER])
        assert "sunny" in second.choices[0].message.content, way


@case
def tools_streamed_by_each_way():
    for way in WAYS:
        whole = litellm.stream_chunk_builder(list(ask(way, TASK, tools=[WEATHER], stream=True)))
        call = whole.choices[0].message.tool_calls[0]
        assert call.function.name == "get_weather" and json.loads(call.function.arguments), way


@case
def objects_by_each_way():
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema, "strict": True}}
    for way in WAYS:
        assert "name" in json.loads(ask(way, "Who?", response_format=wanted).choices[0].message.content), way


@case
def images_by_each_way():
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    for way in WAYS:
        assert ask(way, [user([{"type": "text", "text": "What is this?"}, image])]).choices[0].message.content, way


@case
def settings_by_each_way():
    for way in WAYS:
        reply = ask(way, "hello", max_tokens=500, temperature=0.2, top_p=0.9, stop=["zzz"], drop_params=True)
        assert "hello" in reply.choices[0].message.content, way


@case
def effort_of_reasoning():
    for way in ("openai", "openai responses", "anthropic"):
        # It knows no model of this name as one that reasons.
        more = {"allowed_openai_params": ["reasoning_effort"], "reasoning_effort": "low"}
        assert ask(way, "hello", **more).choices[0].message.content, way


@case
def responses():
    more = {"model": f"openai/{MODEL}", "api_base": f"{BASE}/v1", "api_key": "any"}
    first = litellm.responses(input="hello", **more)
    assert first.output
    kinds = [event.type for event in litellm.responses(input="hello", stream=True, **more)]
    assert kinds[-1] == "response.completed"


@case
def messages_of_anthropic():
    more = {"model": f"anthropic/{MODEL}", "api_base": BASE, "api_key": "any", "max_tokens": 500}

    async def answer():
        return await litellm.anthropic.messages.acreate(messages=[user("hello")], **more)

    reply = asyncio.run(answer())
    assert "hello" in str(reply)


@case
def text_completions():
    reply = litellm.text_completion(
        model=f"text-completion-openai/{MODEL}", prompt="hello", api_base=f"{BASE}/v1", api_key="any"
    )
    assert reply.choices[0].text


@case
def a_picture_and_a_transcript():
    more = {"api_base": f"{BASE}/v1", "api_key": "any"}
    assert litellm.image_generation(prompt="a cat", model="openai/gpt-image-1", **more).data[0].b64_json
    audio = ("a.wav", b"RIFF" + bytes(100))
    assert litellm.transcription(model="openai/gpt-4o-transcribe", file=audio, **more).text


@case
def errors():
    raises(litellm.RateLimitError, lambda: ask("openai", "fault:usage_limit"))
    # ContextWindowExceededError, its subclass, is for wordings that the API itself does not use any more.
    raises(litellm.BadRequestError, lambda: ask("openai", "fault:context_length"))
    for way in ("openai", "anthropic"):
        other = {**WAYS[way], "model": WAYS[way]["model"].replace(MODEL, "no-such-model")}
        raises(litellm.NotFoundError, lambda: litellm.completion(messages=[user("x")], api_key="any", **other))


run()
