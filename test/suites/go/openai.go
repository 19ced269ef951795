// Cases of openai-go: each line of output is one, as JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"
)

var ctx = context.Background()
var model = os.Getenv("SUITE_MODEL")
var client = openai.NewClient(option.WithBaseURL(os.Getenv("SUITE_BASE")+"/v1"), option.WithAPIKey("any"), option.WithMaxRetries(0))

func said(text string) []openai.ChatCompletionMessageParamUnion {
	return []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)}
}

func tools() []openai.ChatCompletionToolUnionParam {
	return []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
		Name: "get_weather",
		Parameters: shared.FunctionParameters{
			"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string"}}, "required": []string{"city"},
		},
	})}
}

func must(isTrue bool, what any) error {
	if isTrue {
		return nil
	}
	return fmt.Errorf("not so: %v", what)
}

func modelsList() error {
	page, err := client.Models.List(ctx)
	if err != nil {
		return err
	}
	for _, one := range page.Data {
		if one.ID == model {
			return nil
		}
	}
	return fmt.Errorf("%s is not listed", model)
}

func chatWhole() error {
	reply, err := client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{Model: model, Messages: said("hello")})
	if err != nil {
		return err
	}
	return must(strings.Contains(reply.Choices[0].Message.Content, "hello") && reply.Usage.TotalTokens > 0, reply.RawJSON())
}

func chatStreamed() error {
	stream := client.Chat.Completions.NewStreaming(ctx, openai.ChatCompletionNewParams{Model: model, Messages: said("hello stream")})
	accumulated := openai.ChatCompletionAccumulator{}
	for stream.Next() {
		if !accumulated.AddChunk(stream.Current()) {
			return errors.New("the accumulator refuses a chunk")
		}
	}
	if stream.Err() != nil {
		return stream.Err()
	}
	return must(strings.Contains(accumulated.Choices[0].Message.Content, "hello stream"), accumulated.Choices)
}

func toolRoundTrip() error {
	params := openai.ChatCompletionNewParams{Model: model, Messages: said("Use the get_weather tool for Rome."), Tools: tools()}
	first, err := client.Chat.Completions.New(ctx, params)
	if err != nil {
		return err
	}
	calls := first.Choices[0].Message.ToolCalls
	if len(calls) != 1 {
		return fmt.Errorf("calls: %v", calls)
	}
	params.Messages = append(params.Messages, first.Choices[0].Message.ToParam(), openai.ToolMessage("sunny", calls[0].ID))
	second, err := client.Chat.Completions.New(ctx, params)
	if err != nil {
		return err
	}
	return must(strings.Contains(second.Choices[0].Message.Content, "sunny"), second.RawJSON())
}

func structuredOutput() error {
	schema := map[string]any{"type": "object", "properties": map[string]any{"name": map[string]any{"type": "string"}}, "required": []string{"name"}, "additionalProperties": false}
	reply, err := client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{Model: model, Messages: said("Who?"), ResponseFormat: openai.ChatCompletionNewParamsResponseFormatUnion{
		OfJSONSchema: &shared.ResponseFormatJSONSchemaParam{JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: "person", Schema: schema, Strict: openai.Bool(true)}},
	}})
	if err != nil {
		return err
	}
	var person struct{ Name string }
	return json.Unmarshal([]byte(reply.Choices[0].Message.Content), &person)
}

func responsesStoredAndContinued() error {
	first, err := client.Responses.New(ctx, responses.ResponseNewParams{Model: model, Input: responses.ResponseNewParamsInputUnion{OfString: openai.String("remember kiwi")}})
	if err != nil {
		return err
	}
	second, err := client.Responses.New(ctx, responses.ResponseNewParams{Model: model, PreviousResponseID: openai.String(first.ID), Input: responses.ResponseNewParamsInputUnion{OfString: openai.String("which word?")}})
	if err != nil {
		return err
	}
	got, err := client.Responses.Get(ctx, second.ID, responses.ResponseGetParams{})
	if err != nil {
		return err
	}
	return must(got.OutputText() == second.OutputText() && got.OutputText() != "", got.RawJSON())
}

func responsesStreamed() error {
	stream := client.Responses.NewStreaming(ctx, responses.ResponseNewParams{Model: model, Input: responses.ResponseNewParamsInputUnion{OfString: openai.String("hello stream")}})
	text, last := "", ""
	for stream.Next() {
		event := stream.Current()
		if event.Type == "response.output_text.delta" {
			text += event.Delta
		}
		last = event.Type
	}
	if stream.Err() != nil {
		return stream.Err()
	}
	return must(strings.Contains(text, "hello stream") && last == "response.completed", text+last)
}

func errorsHaveTheirStatusAndCode() error {
	for text, want := range map[string]string{"fault:usage_limit": "429 usage_limit_reached", "fault:context_length": "400 context_length_exceeded"} {
		_, err := client.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{Model: model, Messages: said(text)})
		var api *openai.Error
		if !errors.As(err, &api) {
			return fmt.Errorf("%s: %v", text, err)
		}
		if got := fmt.Sprintf("%d %s", api.StatusCode, api.Code); got != want {
			return fmt.Errorf("%s: %s", text, got)
		}
	}
	return nil
}

func main() {
	for _, one := range []struct {
		name string
		run  func() error
	}{
		{"models list", modelsList}, {"chat whole", chatWhole}, {"chat streamed", chatStreamed},
		{"tool round trip", toolRoundTrip}, {"structured output", structuredOutput},
		{"responses stored and continued", responsesStoredAndContinued}, {"responses streamed", responsesStreamed},
		{"errors have their status and code", errorsHaveTheirStatusAndCode},
	} {
		line := map[string]any{"case": one.name, "ok": true}
		if err := one.run(); err != nil {
			line["ok"], line["reason"] = false, err.Error()
		}
		text, _ := json.Marshal(line)
		fmt.Println(string(text))
	}
}
