// Cases of anthropic-sdk-go: each line of output is one, as JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"
)

var ctx = context.Background()
var model = anthropic.Model(os.Getenv("SUITE_MODEL"))
var client = anthropic.NewClient(option.WithBaseURL(os.Getenv("SUITE_BASE")), option.WithAPIKey("any"), option.WithMaxRetries(0))

func params(text string) anthropic.MessageNewParams {
	return anthropic.MessageNewParams{Model: model, MaxTokens: 1000, Messages: []anthropic.MessageParam{
		anthropic.NewUserMessage(anthropic.NewTextBlock(text)),
	}}
}

func must(isTrue bool, what any) error {
	if isTrue {
		return nil
	}
	return fmt.Errorf("not so: %v", what)
}

func textOf(message *anthropic.Message) string {
	text := ""
	for _, block := range message.Content {
		text += block.Text
	}
	return text
}

func whole() error {
	reply, err := client.Messages.New(ctx, params("hello"))
	if err != nil {
		return err
	}
	return must(strings.Contains(textOf(reply), "hello") && reply.StopReason == "end_turn" && reply.Usage.OutputTokens > 0, reply.RawJSON())
}

func streamed() error {
	stream := client.Messages.NewStreaming(ctx, params("hello stream"))
	message := anthropic.Message{}
	for stream.Next() {
		if err := message.Accumulate(stream.Current()); err != nil {
			return err
		}
	}
	if stream.Err() != nil {
		return stream.Err()
	}
	return must(strings.Contains(textOf(&message), "hello stream"), message.RawJSON())
}

func toolRoundTrip() error {
	ask := params("Use the get_weather tool for Rome.")
	tool := anthropic.ToolParam{Name: "get_weather", InputSchema: anthropic.ToolInputSchemaParam{
		Properties: map[string]any{"city": map[string]any{"type": "string"}}, Required: []string{"city"},
	}}
	ask.Tools = []anthropic.ToolUnionParam{{OfTool: &tool}}
	first, err := client.Messages.New(ctx, ask)
	if err != nil {
		return err
	}
	results := []anthropic.ContentBlockParamUnion{}
	for _, block := range first.Content {
		if block.Type == "tool_use" {
			results = append(results, anthropic.NewToolResultBlock(block.ID, "sunny", false))
		}
	}
	if len(results) != 1 {
		return fmt.Errorf("uses: %s", first.RawJSON())
	}
	ask.Messages = append(ask.Messages, first.ToParam(), anthropic.NewUserMessage(results...))
	second, err := client.Messages.New(ctx, ask)
	if err != nil {
		return err
	}
	return must(strings.Contains(textOf(second), "sunny"), second.RawJSON())
}

func modelsList() error {
	page, err := client.Models.List(ctx, anthropic.ModelListParams{})
	if err != nil || len(page.Data) == 0 {
		return fmt.Errorf("%d models: %v", len(page.Data), err)
	}
	one, err := client.Models.Get(ctx, page.Data[0].ID, anthropic.ModelGetParams{})
	if err != nil {
		return err
	}
	return must(one.ID == page.Data[0].ID && one.DisplayName != "" && !one.CreatedAt.IsZero(), one.RawJSON())
}

func tokensCounted() error {
	count, err := client.Messages.CountTokens(ctx, anthropic.MessageCountTokensParams{Model: model, Messages: params("hello").Messages})
	if err != nil {
		return err
	}
	return must(count.InputTokens > 0, count.RawJSON())
}

func imageAndDocument() error {
	pixel := "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
	ask := params("")
	ask.Messages = []anthropic.MessageParam{anthropic.NewUserMessage(
		anthropic.NewTextBlock("What are these?"),
		anthropic.NewImageBlockBase64("image/png", pixel),
		anthropic.NewDocumentBlock(anthropic.Base64PDFSourceParam{Data: "JVBERi0xLjQK"}),
		anthropic.NewDocumentBlock(anthropic.PlainTextSourceParam{Data: "a text"}),
	)}
	reply, err := client.Messages.New(ctx, ask)
	if err != nil {
		return err
	}
	return must(textOf(reply) != "", reply.RawJSON())
}

func structuredOutput() error {
	ask := params("a person")
	ask.OutputConfig = anthropic.OutputConfigParam{Effort: "low", Format: anthropic.JSONOutputFormatParam{Schema: map[string]any{
		"type": "object", "properties": map[string]any{"name": map[string]any{"type": "string"}},
		"required": []string{"name"}, "additionalProperties": false,
	}}}
	reply, err := client.Messages.New(ctx, ask)
	if err != nil {
		return err
	}
	var person struct{ Name string }
	if err := json.Unmarshal([]byte(textOf(reply)), &person); err != nil {
		return err
	}
	return must(person.Name != "", reply.RawJSON())
}

func thinkingComesBack() error {
	ask := params("think")
	ask.MaxTokens = 4000
	ask.Thinking = anthropic.ThinkingConfigParamOfEnabled(2000)
	first, err := client.Messages.New(ctx, ask)
	if err != nil {
		return err
	}
	if len(first.Content) == 0 || first.Content[0].Type != "thinking" || first.Content[0].Signature == "" {
		return fmt.Errorf("no thinking first: %s", first.RawJSON())
	}
	ask.Messages = append(ask.Messages, first.ToParam(), anthropic.NewUserMessage(anthropic.NewTextBlock("hello again")))
	second, err := client.Messages.New(ctx, ask)
	if err != nil {
		return err
	}
	return must(strings.Contains(textOf(second), "hello again"), second.RawJSON())
}

func systemStopAndChoice() error {
	ask := params("hello")
	ask.System = []anthropic.TextBlockParam{{Text: "Be brief.", CacheControl: anthropic.NewCacheControlEphemeralParam()}}
	ask.StopSequences = []string{"hello"}
	reply, err := client.Messages.New(ctx, ask)
	if err != nil {
		return err
	}
	return must(reply.StopReason == "stop_sequence" && reply.StopSequence == "hello", reply.RawJSON())
}

func errorsHaveTheirStatus() error {
	for text, want := range map[string]int{"fault:usage_limit": 429, "fault:context_length": 400} {
		_, err := client.Messages.New(ctx, params(text))
		var api *anthropic.Error
		if !errors.As(err, &api) || api.StatusCode != want {
			return fmt.Errorf("%s: %v", text, err)
		}
	}
	return nil
}

func main() {
	for _, one := range []struct {
		name string
		run  func() error
	}{
		{"models", modelsList},
		{"whole", whole},
		{"streamed", streamed},
		{"tool round trip", toolRoundTrip},
		{"tokens are counted", tokensCounted},
		{"an image and documents", imageAndDocument},
		{"structured output", structuredOutput},
		{"thinking comes back", thinkingComesBack},
		{"a system text, a mark of the cache and a stop sequence", systemStopAndChoice},
		{"errors have their status", errorsHaveTheirStatus},
	} {
		line := map[string]any{"case": one.name, "ok": true}
		if err := one.run(); err != nil {
			line["ok"], line["reason"] = false, err.Error()
		}
		text, _ := json.Marshal(line)
		fmt.Println(string(text))
	}
}
