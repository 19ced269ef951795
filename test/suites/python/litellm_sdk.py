import litellm

from harness import BASE, MODEL, case, raises, run

litellm.suppress_debug_info = True
WAYS = {
    "openai": {"model": f"openai/{MODEL}", "api_base": f"{BASE}/v1"},
    "anthropic": {"model": f"anthropic/{MODEL}", "api_base": BASE},
    "ollama": {"model": f"ollama_chat/{MODEL}", "api_base": BASE},
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def ask(way, text, **more):
    return litellm.completion(messages=[{"role": "user", "content": text}], api_key="any", num_retries=0, **WAYS[way], **more)


@case
def whole_and_streamed_by_each_way():
    for way in WAYS:
        assert "hello" in ask(way, "hello").choices[0].message.content, way
        text = "".join(chunk.choices[0].delta.content or "" for chunk in ask(way, "hello", stream=True))
        assert "hello" in text, way


@case
def tools_by_each_way():
    for way in WAYS:
        reply = ask(way, "Use the get_weather tool for Rome.", tools=[WEATHER])
        assert reply.choices[0].message.tool_calls[0].function.name == "get_weather", way


@case
def responses():
    reply = litellm.responses(model=f"openai/{MODEL}", input="hello", api_base=f"{BASE}/v1", api_key="any")
    assert reply.output


@case
def errors():
    raises(litellm.RateLimitError, lambda: ask("openai", "fault:usage_limit"))
    # ContextWindowExceededError, its subclass, is for wordings that the API itself does not use any more.
    raises(litellm.BadRequestError, lambda: ask("openai", "fault:context_length"))


run()
