"""What the Open Responses specification asks of a server, held against the types that are made from it.

Every response and every event of every case has to fit its type; numbers of events run without gaps.
"""

import asyncio
import json

import httpx
import openresponses_types as types
from websockets.asyncio.client import connect

from harness import BASE, MODEL, case, run

# A pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
ASKS_FOR_WEATHER = "What is the weather in Paris?"
CALL_EVENTS = [
    "response.output_item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.output_item.done",
]

client = httpx.Client(base_url=f"{BASE}/v1", timeout=60)


def event_types():
    """The specification's type of each event, by the event's name."""
    found = {}
    for name in dir(types):
        if not name.endswith("StreamingEvent"):
            continue
        kind = getattr(types, name)
        annotation = kind.model_fields["type"].annotation
        found[next(iter(annotation)).value] = kind
    return found


EVENTS = event_types()


def user(text):
    return {"type": "message", "role": "user", "content": text}


def create(**body):
    reply = client.post("/responses", json={"model": MODEL, **body})
    assert reply.status_code == 200, reply.text
    types.ResponseResource.model_validate(reply.json())
    return reply.json()


def fits(events):
    """Each event by its type, all in order, with one end."""
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    for event in events:
        assert event["type"] in EVENTS, f"{event['type']} is not of the specification"
        EVENTS[event["type"]].model_validate(event)
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    first, last = events[0]["response"], events[-1]["response"]
    assert first["id"] == last["id"]
    # What only an end can tell may come with it.
    assert set(first) <= set(last), set(first) - set(last)
    return events


def streamed(**body):
    events = []
    with client.stream("POST", "/responses", json={"model": MODEL, "stream": True, **body}) as reply:
        assert reply.status_code == 200, reply.read()
        assert reply.headers["content-type"].startswith("text/event-stream")
        name = None
        for line in reply.iter_lines():
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: ") and line != "data: [DONE]":
                event = json.loads(line[6:])
                assert name == event["type"]
                events.append(event)
    return fits(events)


def names(events):
    return [event["type"] for event in events]


def text_of(response):
    parts = [part for item in response["output"] if item["type"] == "message" for part in item["content"]]
    return "".join(part["text"] for part in parts)


def call_of(response):
    return next(item for item in response["output"] if item["type"] == "function_call")


@case
def a_text():
    response = create(input=[user("Say hello")])
    assert response["status"] == "completed" and text_of(response)


@case
def a_text_as_a_stream():
    events = streamed(input="Count from 1 to 5.")
    final = events[-1]["response"]
    assert names(events)[-1] == "response.completed" and final["status"] == "completed"
    assert "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta") == text_of(final)


@case
def a_stream_ends_with_done():
    with client.stream("POST", "/responses", json={"model": MODEL, "stream": True, "input": "hello"}) as reply:
        assert [line for line in reply.iter_lines() if line][-1] == "data: [DONE]", "no [DONE]"


@case
def an_item_is_opened_and_closed_in_a_stream():
    events = streamed(input="hello")
    message = next(event for event in events if event.get("item", {}).get("type") == "message")
    said = names(event for event in events if event.get("output_index") == message["output_index"])
    wanted = ["output_item.added", "content_part.added", "output_text.done", "content_part.done", "output_item.done"]
    places = [said.index(f"response.{name}") for name in wanted]
    assert places == sorted(places), said


@case
def system_and_developer_roles():
    for role in ("system", "developer"):
        instructed = [{"type": "message", "role": role, "content": "Be brief."}, user("Say hello")]
        assert create(input=instructed)["status"] == "completed"


@case
def a_history_of_turns():
    answer = {"type": "message", "role": "assistant", "content": "Hello Ada."}
    assert text_of(create(input=[user("My name is Ada."), answer, user("What is my name?")]))


@case
def an_image():
    image = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}
    content = [{"type": "input_text", "text": "What is this?"}, image]
    assert text_of(create(input=[{"type": "message", "role": "user", "content": content}]))


@case
def a_document():
    document = {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQK"}
    content = [{"type": "input_text", "text": "What is this?"}, document]
    assert text_of(create(input=[{"type": "message", "role": "user", "content": content}]))


@case
def a_function_call():
    call = call_of(create(input=[user(ASKS_FOR_WEATHER)], tools=[WEATHER]))
    assert call["name"] == "get_weather" and "city" in json.loads(call["arguments"])


@case
def a_function_call_as_a_stream():
    events = streamed(input=ASKS_FOR_WEATHER, tools=[WEATHER])
    said = names(events)
    assert all(name in said for name in CALL_EVENTS), said
    deltas = "".join(event["delta"] for event in events if event["type"] == CALL_EVENTS[1])
    assert deltas == call_of(events[-1]["response"])["arguments"]


@case
def a_function_call_and_its_output():
    asked = create(input=[user(ASKS_FOR_WEATHER)], tools=[WEATHER])
    result = {"type": "function_call_output", "call_id": call_of(asked)["call_id"], "output": "rain"}
    answered = create(input=[user(ASKS_FOR_WEATHER), *asked["output"], result], tools=[WEATHER])
    assert "rain" in text_of(answered)


@case
def a_function_call_continued_by_id():
    asked = create(input=ASKS_FOR_WEATHER, tools=[WEATHER])
    result = {"type": "function_call_output", "call_id": call_of(asked)["call_id"], "output": "rain"}
    answered = create(previous_response_id=asked["id"], input=[result], tools=[WEATHER])
    assert answered["previous_response_id"] == asked["id"] and "rain" in text_of(answered)


@case
def every_tool_choice_comes_back():
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "get_weather"}]}
    for choice in ("auto", "none", "required", {"type": "function", "name": "get_weather"}, allowed):
        response = create(input="hello", tools=[WEATHER], tool_choice=choice)
        assert response["tool_choice"] == choice, response["tool_choice"]
    assert response["tools"][0]["name"] == "get_weather"


@case
def the_fields_of_a_request_come_back():
    fields = {
        "instructions": "Be brief.",
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "prompt_cache_key": "a-key",
        "safety_identifier": "somebody",
        "truncation": "disabled",
        "reasoning": {"effort": "low", "summary": "auto"},
    }
    response = create(input="hello", **fields)
    for name, value in fields.items():
        assert response[name] == value, (name, response[name])


@case
def text_by_a_schema():
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
        "additionalProperties": False,
    }
    format = {"type": "json_schema", "name": "person", "schema": schema, "strict": True}
    response = create(input="a person", text={"format": format})
    assert list(json.loads(text_of(response))) == ["name"]
    assert response["text"]["format"]["name"] == "person"


@case
def reasoning_and_its_summary():
    events = streamed(input="think", reasoning={"effort": "high", "summary": "detailed"})
    assert any(item["type"] == "reasoning" for item in events[-1]["response"]["output"]), names(events)


@case
def an_answer_that_is_cut_is_incomplete():
    response = create(input="Tell me a long story", max_output_tokens=16)
    if response["status"] != "completed":
        assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["max_output_tokens"] == 16


@case
def a_compaction():
    reply = client.post("/responses/compact", json={"model": MODEL, "input": [user("hello"), user("there")]})
    assert reply.status_code == 200, reply.text
    types.CompactResource.model_validate(reply.json())


@case
def a_refusal_names_the_field():
    for body in ({"input": "x"}, {"model": MODEL, "input": 5}, {"model": "no-such", "input": "x"}):
        reply = client.post("/responses", json=body)
        assert 400 <= reply.status_code < 500, reply.text
        assert set(reply.json()["error"]) == {"message", "type", "param", "code"}, reply.text


@case
def no_id_of_a_response_that_nobody_made():
    reply = client.post("/responses", json={"model": MODEL, "input": "x", "previous_response_id": "resp_nobody"})
    assert reply.status_code in (400, 404) and reply.json()["error"]["code"] == "previous_response_not_found", reply.text


async def over_socket(*bodies):
    answers, last = [], {}
    async with connect(BASE.replace("http", "ws", 1) + "/v1/responses") as socket:
        for body in bodies:
            # An answer that goes on from the one before.
            if body.pop("continued", False):
                body = {**body, "previous_response_id": last["id"]}
            await socket.send(json.dumps({"type": "response.create", "model": MODEL, **body}))
            events = []
            while not events or events[-1]["type"] not in ("response.completed", "response.failed", "error"):
                events.append(json.loads(await asyncio.wait_for(socket.recv(), 60)))
            answers.append(events)
            last = events[-1].get("response", {})
    return answers


@case
async def turns_over_a_socket():
    first, second = await over_socket({"input": "hello one"}, {"input": "hello two", "continued": True})
    assert "one" in text_of(fits(first)[-1]["response"])
    assert fits(second)[-1]["response"]["previous_response_id"] == first[-1]["response"]["id"]


@case
async def a_function_call_over_a_socket():
    [events] = await over_socket({"input": ASKS_FOR_WEATHER, "tools": [WEATHER]})
    assert call_of(fits(events)[-1]["response"])["name"] == "get_weather"


@case
async def an_error_over_a_socket_leaves_it_open():
    failed, answered = await over_socket({"model": "no-such", "input": "x"}, {"input": "hello"})
    types.ErrorStreamingEvent.model_validate(failed[-1])
    assert text_of(fits(answered)[-1]["response"])


run()
