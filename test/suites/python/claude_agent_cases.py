"""claude-agent-sdk, which runs the Claude Code that it brings."""

import os
import tempfile

from claude_agent_sdk import (
    ClaudeAgentOptions,
    ClaudeSDKClient,
    HookMatcher,
    ResultMessage,
    StreamEvent,
    create_sdk_mcp_server,
    query,
    tool,
)

from harness import BASE, MODEL, case, run

HOME = tempfile.mkdtemp(prefix="plansocket-suite-")
ENV = {
    "HOME": HOME,
    "ANTHROPIC_BASE_URL": BASE,
    "ANTHROPIC_API_KEY": "any",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL": MODEL,
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "ENABLE_TOOL_SEARCH": "false",
    # As root it runs tools unasked only where it believes to be fenced in.
    "IS_SANDBOX": "1",
}


def options(**more):
    return ClaudeAgentOptions(
        cwd=HOME, env=ENV, model=MODEL, max_turns=6, permission_mode="bypassPermissions", **more
    )


async def messages_of(prompt, **more):
    messages = [message async for message in query(prompt=prompt, options=options(**more))]
    result = messages[-1]
    assert isinstance(result, ResultMessage) and not result.is_error, result
    assert result.usage["output_tokens"] > 0, result.usage
    return messages, result


@case
async def an_answer():
    _, result = await messages_of("hello one")
    assert "hello one" in result.result


@case
async def an_answer_piece_by_piece():
    messages, _ = await messages_of("hello two", include_partial_messages=True)
    events = [message.event for message in messages if isinstance(message, StreamEvent)]
    text = "".join(event.get("delta", {}).get("text", "") for event in events)
    assert "hello two" in text and events[-1]["type"] == "message_stop"


@case
async def a_file_by_its_own_tools():
    seen = []

    async def before(call, *_):
        seen.append(call["tool_name"])
        return {}

    await messages_of(
        "Write the text HELLO-RELAY to the file out.txt, then read it back.",
        hooks={"PreToolUse": [HookMatcher(hooks=[before])]},
    )
    with open(os.path.join(HOME, "out.txt")) as file:
        assert "HELLO-RELAY" in file.read()
    assert seen, "no tool was seen"


@case
async def a_tool_of_the_callers():
    asked = []

    @tool("get_weather", "The weather of a city", {"city": str})
    async def get_weather(arguments):
        asked.append(arguments["city"])
        return {"content": [{"type": "text", "text": "rain"}]}

    servers = {"own": create_sdk_mcp_server("own", tools=[get_weather])}
    await messages_of('call mcp__own__get_weather {"city":"Paris"}', mcp_servers=servers)
    assert asked == ["Paris"], asked


@case
async def several_prompts_in_one_session():
    async with ClaudeSDKClient(options=options()) as client:
        for text in ("hello three", "hello four"):
            await client.query(text)
            messages = [message async for message in client.receive_response()]
            assert text in messages[-1].result


@case
async def a_session_that_is_taken_up_again():
    _, first = await messages_of("hello five")
    _, second = await messages_of("hello six", resume=first.session_id)
    assert "hello six" in second.result


@case
async def an_answer_by_a_schema():
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
        "additionalProperties": False,
    }
    _, result = await messages_of("a person", output_format={"type": "json_schema", "schema": schema})
    assert isinstance(result.structured_output["name"], str), result.structured_output


@case
async def every_effort():
    for effort in ("low", "high", "max"):
        _, result = await messages_of("hello seven", effort=effort)
        assert "hello seven" in result.result, effort


run()
