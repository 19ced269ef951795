import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.http.StreamResponse;
import com.openai.errors.BadRequestException;
import com.openai.errors.NotFoundException;
import com.openai.helpers.ChatCompletionAccumulator;
import com.openai.helpers.ResponseAccumulator;
import com.openai.models.Reasoning;
import com.openai.models.ReasoningEffort;
import com.openai.models.chat.completions.ChatCompletion;
import com.openai.models.chat.completions.ChatCompletionChunk;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.completions.CompletionCreateParams;
import com.openai.models.images.ImageGenerateParams;
import com.openai.models.responses.Response;
import com.openai.models.responses.ResponseCreateParams;
import com.openai.models.responses.ResponseStatus;
import com.openai.models.responses.ResponseStreamEvent;
import java.util.List;

/** Cases of openai-java, which checks each answer against its schema where it is told to. */
final class OpenAiCases {
  public static final class Person {
    public String name;
    public int age;
  }

  public static final class GetWeather {
    public String city;
  }

  private static final OpenAIClient CLIENT =
      OpenAIOkHttpClient.builder()
          .baseUrl(Harness.BASE + "/v1")
          .apiKey("any")
          .responseValidation(true)
          .maxRetries(0)
          .build();

  private static ChatCompletionCreateParams.Builder chat() {
    return ChatCompletionCreateParams.builder().model(Harness.MODEL).addUserMessage("hello there");
  }

  private static ResponseCreateParams.Builder responses() {
    return ResponseCreateParams.builder().model(Harness.MODEL).input("hello there");
  }

  private static ChatCompletion streamed(ChatCompletionCreateParams params) {
    ChatCompletionAccumulator whole = ChatCompletionAccumulator.create();
    try (StreamResponse<ChatCompletionChunk> stream = CLIENT.chat().completions().createStreaming(params)) {
      stream.stream().peek(ChatCompletionChunk::validate).forEach(whole::accumulate);
    }
    return whole.chatCompletion().validate();
  }

  private static Response streamed(ResponseCreateParams params) {
    ResponseAccumulator whole = ResponseAccumulator.create();
    try (StreamResponse<ResponseStreamEvent> stream = CLIENT.responses().createStreaming(params)) {
      stream.stream().peek(ResponseStreamEvent::validate).forEach(whole::accumulate);
    }
    return whole.response().validate();
  }

  private static String textOf(ChatCompletion reply) {
    return reply.choices().get(0).message().content().get();
  }

  public static void main(String[] arguments) {
    Harness.run("models, list and one", () -> {
      CLIENT.models().list().autoPager().forEach(model -> model.validate());
      Harness.check(CLIENT.models().retrieve(Harness.MODEL).validate().id().equals(Harness.MODEL), "id");
    });
    Harness.run("chat, whole", () -> {
      ChatCompletion reply = CLIENT.chat().completions().create(chat().build()).validate();
      Harness.check(textOf(reply).contains("hello there"), reply);
      Harness.check(reply.usage().get().totalTokens() > 0, reply.usage());
    });
    Harness.run("chat, streamed", () -> {
      ChatCompletion reply = streamed(chat().build());
      Harness.check(textOf(reply).contains("hello there"), reply);
    });
    Harness.run("chat, cut by a limit", () -> {
      ChatCompletion reply = CLIENT.chat().completions().create(chat().maxCompletionTokens(2).build()).validate();
      Harness.check(reply.choices().get(0).finishReason().equals(ChatCompletion.Choice.FinishReason.LENGTH), reply);
    });
    Harness.run("chat, structured by a class", () -> {
      var reply = CLIENT.chat().completions().create(chat().responseFormat(Person.class).build());
      Harness.check(reply.choices().get(0).message().content().get().name != null, reply);
    });
    Harness.run("chat, a tool by a class, then its result", () -> {
      var asked =
          ChatCompletionCreateParams.builder()
              .model(Harness.MODEL)
              .addUserMessage("Use the GetWeather tool for Rome.")
              .addTool(GetWeather.class);
      var message = CLIENT.chat().completions().create(asked.build()).validate().choices().get(0).message();
      var call = message.toolCalls().get().get(0).asFunction();
      Harness.check(call.function().arguments(GetWeather.class).city != null, call);
      asked.addMessage(message);
      asked.addMessage(
          com.openai.models.chat.completions.ChatCompletionToolMessageParam.builder()
              .toolCallId(call.id())
              .content("sunny")
              .build());
      Harness.check(textOf(CLIENT.chat().completions().create(asked.build()).validate()).contains("sunny"), "text");
    });
    Harness.run("chat, asynchronous", () -> CLIENT.async().chat().completions().create(chat().build()).get().validate());
    Harness.run("responses, whole", () -> {
      Response reply = CLIENT.responses().create(responses().build()).validate();
      Harness.check(reply.status().get().equals(ResponseStatus.COMPLETED), reply);
    });
    Harness.run("responses, streamed", () -> {
      Response reply = streamed(responses().build());
      Harness.check(reply.status().get().equals(ResponseStatus.COMPLETED), reply);
    });
    Harness.run("responses, cut by a limit, whole and streamed", () -> {
      ResponseCreateParams params = responses().maxOutputTokens(2).build();
      for (Response reply : List.of(CLIENT.responses().create(params).validate(), streamed(params))) {
        Harness.check(reply.status().get().equals(ResponseStatus.INCOMPLETE), reply);
      }
    });
    Harness.run("responses, structured by a class", () -> {
      var reply = CLIENT.responses().create(responses().text(Person.class).build());
      Harness.check(reply.output().size() > 0, reply);
    });
    Harness.run("responses, with reasoning", () -> {
      Reasoning reasoning =
          Reasoning.builder().effort(ReasoningEffort.HIGH).summary(Reasoning.Summary.AUTO).build();
      Response reply = streamed(responses().reasoning(reasoning).build());
      Harness.check(reply.output().stream().anyMatch(item -> item.isReasoning()), reply);
    });
    Harness.run("responses, stored, continued, read and deleted", () -> {
      Response first = CLIENT.responses().create(responses().store(true).build());
      Harness.check(CLIENT.responses().retrieve(first.id()).validate().id().equals(first.id()), first);
      CLIENT.responses().create(responses().previousResponseId(first.id()).build()).validate();
      var items = CLIENT.responses().inputItems().list(first.id());
      items.autoPager().forEach(item -> item.validate());
      Harness.check(items.items().size() == 1, items);
      CLIENT.responses().delete(first.id());
      Harness.raises(NotFoundException.class, () -> CLIENT.responses().retrieve(first.id()));
    });
    Harness.run("an unknown model is NotFoundException", () -> {
      NotFoundException error =
          Harness.raises(
              NotFoundException.class,
              () -> CLIENT.chat().completions().create(chat().model("no-such-model").build()));
      Harness.check(error.code().get().equals("model_not_found"), error);
    });
    Harness.run("a bad request is BadRequestException with its parameter", () -> {
      BadRequestException error =
          Harness.raises(
              BadRequestException.class,
              () -> CLIENT.chat().completions().create(chat().messages(List.of()).build()));
      Harness.check(error.param().isPresent(), error);
    });
    Harness.run("legacy completions", () -> {
      var params = CompletionCreateParams.builder().model(Harness.MODEL).prompt("hello").build();
      Harness.check(CLIENT.completions().create(params).validate().choices().size() == 1, "choices");
    });
    Harness.run("an image", () -> {
      var params = ImageGenerateParams.builder().model("gpt-image-1").prompt("a red dot").build();
      Harness.check(CLIENT.images().generate(params).validate().data().get().get(0).b64Json().isPresent(), "data");
    });
    System.exit(0);
  }
}
