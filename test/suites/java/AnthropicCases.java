import com.anthropic.client.AnthropicClient;
import com.anthropic.client.okhttp.AnthropicOkHttpClient;
import com.anthropic.core.JsonValue;
import com.anthropic.core.http.StreamResponse;
import com.anthropic.errors.BadRequestException;
import com.anthropic.errors.NotFoundException;
import com.anthropic.helpers.MessageAccumulator;
import com.anthropic.models.messages.Message;
import com.anthropic.models.messages.MessageCountTokensParams;
import com.anthropic.models.messages.MessageCreateParams;
import com.anthropic.models.messages.RawMessageStreamEvent;
import com.anthropic.models.messages.StopReason;
import com.anthropic.models.messages.Tool;
import java.util.List;
import java.util.Map;

/** Cases of anthropic-java, which checks each answer against its schema where it is told to. */
final class AnthropicCases {
  public static final class Person {
    public String name;
    public int age;
  }

  private static final AnthropicClient CLIENT =
      AnthropicOkHttpClient.builder()
          .baseUrl(Harness.BASE)
          .apiKey("any")
          .responseValidation(true)
          .maxRetries(0)
          .build();

  private static MessageCreateParams.Builder hello() {
    return MessageCreateParams.builder().model(Harness.MODEL).maxTokens(5000).addUserMessage("hello there");
  }

  private static Message streamed(MessageCreateParams params) {
    MessageAccumulator whole = MessageAccumulator.create();
    try (StreamResponse<RawMessageStreamEvent> stream = CLIENT.messages().createStreaming(params)) {
      stream.stream().peek(RawMessageStreamEvent::validate).forEach(whole::accumulate);
    }
    return whole.message().validate();
  }

  public static void main(String[] arguments) {
    Harness.run("models, list and one", () -> {
      CLIENT.models().list().autoPager().forEach(model -> model.validate());
      CLIENT.models().retrieve(Harness.MODEL).validate();
    });
    Harness.run("a message, whole", () -> {
      Message reply = CLIENT.messages().create(hello().build()).validate();
      Harness.check(reply.content().get(0).asText().text().contains("hello there"), reply);
    });
    Harness.run("a message, streamed", () -> {
      Message reply = streamed(hello().build());
      Harness.check(reply.stopReason().get().equals(StopReason.END_TURN), reply);
    });
    Harness.run("a message, cut by a limit, whole and streamed", () -> {
      MessageCreateParams params = hello().maxTokens(2).build();
      for (Message reply : new Message[] {CLIENT.messages().create(params).validate(), streamed(params)}) {
        Harness.check(reply.stopReason().get().equals(StopReason.MAX_TOKENS), reply);
      }
    });
    Harness.run("thinking", () -> {
      Message reply = streamed(hello().enabledThinking(2000).build());
      Harness.check(reply.content().stream().anyMatch(block -> block.isThinking()), reply);
    });
    Harness.run("a tool, whole and streamed", () -> {
      Tool tool =
          Tool.builder()
              .name("get_weather")
              .description("Weather of a city")
              .inputSchema(
                  Tool.InputSchema.builder()
                      .properties(
                          Tool.InputSchema.Properties.builder()
                              .putAdditionalProperty("city", JsonValue.from(Map.of("type", "string")))
                              .build())
                      .addRequired("city")
                      .build())
              .build();
      MessageCreateParams params =
          MessageCreateParams.builder()
              .model(Harness.MODEL)
              .maxTokens(1000)
              .addUserMessage("Use the get_weather tool for Rome.")
              .addTool(tool)
              .build();
      for (Message reply : new Message[] {CLIENT.messages().create(params).validate(), streamed(params)}) {
        Harness.check(reply.stopReason().get().equals(StopReason.TOOL_USE), reply);
      }
    });
    Harness.run("structured by a class", () -> {
      var reply = CLIENT.messages().create(hello().outputConfig(Person.class).build());
      Harness.check(reply.content().get(0).asText().text().name != null, reply);
    });
    Harness.run("tokens are counted", () -> {
      var params = MessageCountTokensParams.builder().model(Harness.MODEL).addUserMessage("hello").build();
      Harness.check(CLIENT.messages().countTokens(params).validate().inputTokens() > 0, "tokens");
    });
    Harness.run("asynchronous", () -> CLIENT.async().messages().create(hello().build()).get().validate());
    Harness.run("an unknown model is NotFoundException", () ->
        Harness.raises(
            NotFoundException.class, () -> CLIENT.messages().create(hello().model("no-such-model").build())));
    Harness.run("a bad request is BadRequestException", () ->
        Harness.raises(BadRequestException.class, () -> CLIENT.messages().create(hello().messages(List.of()).build())));
    System.exit(0);
  }
}
