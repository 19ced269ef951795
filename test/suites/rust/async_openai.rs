//! Cases of async-openai, whose types refuse what lacks a field.

use async_openai::config::OpenAIConfig;
use async_openai::types::chat::CreateChatCompletionRequest;
use async_openai::types::images::CreateImageRequest;
use async_openai::types::responses::CreateResponse;
use async_openai::Client;
use futures::StreamExt;
use serde_json::{json, Value};

type Answer = Result<(), String>;

fn tell(name: &str, answer: Answer) {
    let line = match answer {
        Ok(()) => format!("{{\"case\":{},\"ok\":true}}", json!(name)),
        Err(reason) => {
            let shown: String = reason.chars().take(600).collect();
            format!("{{\"case\":{},\"ok\":false,\"reason\":{}}}", json!(name), json!(shown))
        }
    };
    println!("{line}");
}

fn said(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}

fn with(base: &Value, more: &Value) -> Value {
    let mut body = base.clone();
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn chat(client: &Client<OpenAIConfig>, body: Value) -> Answer {
    let request: CreateChatCompletionRequest = serde_json::from_value(body).map_err(said)?;
    let reply = client.chat().create(request).await.map_err(said)?;
    if reply.choices.len() == 1 { Ok(()) } else { Err(said(reply)) }
}

async fn chat_stream(client: &Client<OpenAIConfig>, body: Value) -> Answer {
    let request: CreateChatCompletionRequest = serde_json::from_value(body).map_err(said)?;
    let mut stream = client.chat().create_stream(request).await.map_err(said)?;
    let mut chunks = 0;
    while let Some(chunk) = stream.next().await {
        chunk.map_err(said)?;
        chunks += 1;
    }
    if chunks > 0 { Ok(()) } else { Err("no chunks".into()) }
}

async fn response(client: &Client<OpenAIConfig>, body: Value) -> Answer {
    let request: CreateResponse = serde_json::from_value(body).map_err(said)?;
    let reply = client.responses().create(request).await.map_err(said)?;
    if reply.output.is_empty() { Err(said(reply)) } else { Ok(()) }
}

async fn response_stream(client: &Client<OpenAIConfig>, body: Value) -> Answer {
    let request: CreateResponse = serde_json::from_value(body).map_err(said)?;
    let mut stream = client.responses().create_stream(request).await.map_err(said)?;
    let mut events = 0;
    while let Some(event) = stream.next().await {
        event.map_err(said)?;
        events += 1;
    }
    if events > 0 { Ok(()) } else { Err("no events".into()) }
}

async fn stored(client: &Client<OpenAIConfig>, model: &str) -> Answer {
    let body = json!({ "model": model, "input": "hello", "store": true });
    let request: CreateResponse = serde_json::from_value(body).map_err(said)?;
    let id = client.responses().create(request).await.map_err(said)?.id;
    client.responses().retrieve(&id).await.map_err(said)?;
    client.responses().list_input_items(&id).await.map_err(said)?;
    client.responses().delete(&id).await.map_err(said)?;
    Ok(())
}

async fn models(client: &Client<OpenAIConfig>, model: &str) -> Answer {
    let listed = client.models().list().await.map_err(said)?;
    if !listed.data.iter().any(|one| one.id == model) {
        return Err(said(listed));
    }
    client.models().retrieve(model).await.map_err(said)?;
    Ok(())
}

async fn unknown_model(client: &Client<OpenAIConfig>) -> Answer {
    let body = json!({ "model": "no-such-model", "messages": [{ "role": "user", "content": "hello" }] });
    let request: CreateChatCompletionRequest = serde_json::from_value(body).map_err(said)?;
    match client.chat().create(request).await {
        Ok(reply) => Err(said(reply)),
        Err(error) if said(&error).contains("model_not_found") => Ok(()),
        Err(error) => Err(said(error)),
    }
}

async fn image(client: &Client<OpenAIConfig>) -> Answer {
    let body = json!({ "prompt": "a red dot", "model": "gpt-image-1" });
    let request: CreateImageRequest = serde_json::from_value(body).map_err(said)?;
    let reply = client.images().generate(request).await.map_err(said)?;
    if reply.data.len() == 1 { Ok(()) } else { Err("no image".into()) }
}

#[tokio::main]
async fn main() {
    let base = std::env::var("SUITE_BASE").unwrap();
    let model = std::env::var("SUITE_MODEL").unwrap();
    let config = OpenAIConfig::new().with_api_base(format!("{base}/v1")).with_api_key("any");
    let client = Client::with_config(config);
    let weather = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    let answer = json!({ "type": "object", "properties": { "answer": { "type": "string" } } });

    tell("models, list and one", models(&client, &model).await);
    let asked = json!({
        "model": model,
        "messages": [{ "role": "user", "content": "What is the weather in Rome?" }],
    });
    let tools = json!([{ "type": "function", "function": { "name": "get_weather", "parameters": weather } }]);
    let format = json!({ "type": "json_schema", "json_schema": { "name": "a", "schema": answer } });
    for (name, more) in [
        ("plain", json!({})),
        ("cut by a limit", json!({ "max_completion_tokens": 2 })),
        ("with a tool", json!({ "tools": tools })),
        ("by a schema", json!({ "response_format": format })),
        ("with effort", json!({ "reasoning_effort": "high" })),
        ("with a stop", json!({ "stop": ["plansocket"] })),
        ("with usage in the stream", json!({ "stream_options": { "include_usage": true } })),
    ] {
        let body = with(&asked, &more);
        if more.get("stream_options").is_none() {
            tell(&format!("chat, {name}"), chat(&client, body.clone()).await);
        }
        tell(&format!("chat, {name}, streamed"), chat_stream(&client, with(&body, &json!({ "stream": true }))).await);
    }

    let asked = json!({ "model": model, "input": "What is the weather in Rome?" });
    let tools = json!([{ "type": "function", "name": "get_weather", "strict": false, "parameters": weather }]);
    let format = json!({ "type": "json_schema", "name": "a", "schema": answer });
    for (name, more) in [
        ("plain", json!({})),
        ("cut by a limit", json!({ "max_output_tokens": 2 })),
        ("with a tool", json!({ "tools": tools })),
        ("by a schema", json!({ "text": { "format": format } })),
        ("with a summary of its reasoning", json!({ "reasoning": { "effort": "high", "summary": "auto" } })),
        ("with a search", json!({ "input": "search the web for bun", "tools": [{ "type": "web_search" }] })),
        ("with an image", json!({ "input": "draw a picture of a cat", "tools": [{ "type": "image_generation" }] })),
    ] {
        let body = with(&asked, &more);
        tell(&format!("responses, {name}"), response(&client, body.clone()).await);
        let streamed = with(&body, &json!({ "stream": true }));
        tell(&format!("responses, {name}, streamed"), response_stream(&client, streamed).await);
    }
    tell("responses, stored, read and deleted", stored(&client, &model).await);
    tell("an unknown model is told by its code", unknown_model(&client).await);
    tell("an image", image(&client).await);
}
