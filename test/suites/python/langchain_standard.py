"""LangChain's standard tests of chat models, on its three integrations that the relay can stand behind."""

import base64
import os

import httpx
from langchain_anthropic import ChatAnthropic
from langchain_ollama import ChatOllama
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests

from harness import BASE, MODEL

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
)
PAGES = b"2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj"
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n" + PAGES + b"\ntrailer<</Root 1 0 R>>\n%%EOF\n"


def from_here(url, **_):
    """The tests' pictures and documents, without the web."""
    return httpx.Response(200, content=PDF if url.endswith(".pdf") else PNG)


httpx.get = from_here


class TestChatCompletions(ChatModelIntegrationTests):
    chat_model_class = ChatOpenAI
    # Usage in streams is asked for unless a base URL is given.
    chat_model_params = {"model": MODEL, "base_url": f"{BASE}/v1", "api_key": "any", "stream_usage": True}
    supports_image_inputs = True
    supports_image_urls = True
    supports_json_mode = True
    supports_pdf_inputs = True


class TestResponses(TestChatCompletions):
    chat_model_params = {**TestChatCompletions.chat_model_params, "use_responses_api": True}
    supports_image_tool_message = True
    supports_pdf_tool_message = True


class TestMessages(ChatModelIntegrationTests):
    chat_model_class = ChatAnthropic
    chat_model_params = {"model": MODEL, "base_url": BASE, "api_key": "any", "max_tokens": 2000}
    supports_anthropic_inputs = True
    supports_image_inputs = True
    supports_image_tool_message = True
    supports_image_urls = True
    supports_pdf_inputs = True
    supports_pdf_tool_message = True


class TestOllama(ChatModelIntegrationTests):
    chat_model_class = ChatOllama
    chat_model_params = {"model": MODEL, "base_url": BASE}
    # Ollama's API has none.
    has_tool_choice = False
    supports_image_inputs = True
    supports_json_mode = True


if __name__ == "__main__":
    from pytest_cases import run

    run(os.path.dirname(__file__), [__file__])
