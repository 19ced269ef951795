/** Says of each case on a line of JSON whether it held. */
final class Harness {
  static final String BASE = System.getenv("SUITE_BASE");
  static final String MODEL = System.getenv("SUITE_MODEL");

  interface Case {
    void run() throws Exception;
  }

  private Harness() {}

  static void run(String name, Case attempt) {
    try {
      attempt.run();
      System.out.println("{\"case\":" + quoted(name) + ",\"ok\":true}");
    } catch (Throwable error) {
      String reason = error.getClass().getSimpleName() + ": " + error.getMessage();
      String shown = reason.substring(0, Math.min(600, reason.length()));
      System.out.println("{\"case\":" + quoted(name) + ",\"ok\":false,\"reason\":" + quoted(shown) + "}");
    }
  }

  static void check(boolean holds, Object seen) {
    if (!holds) throw new AssertionError(String.valueOf(seen));
  }

  /** The error that `call` ends with; fails when it ends well or with another. */
  static <E extends Throwable> E raises(Class<E> kind, Case call) throws Exception {
    try {
      call.run();
    } catch (Throwable error) {
      if (kind.isInstance(error)) return kind.cast(error);
      throw error;
    }
    throw new AssertionError(kind.getSimpleName() + " was not raised");
  }

  private static String quoted(String text) {
    StringBuilder out = new StringBuilder("\"");
    for (char unit : text.toCharArray()) {
      if (unit == '"' || unit == '\\') out.append('\\').append(unit);
      else if (unit < ' ') out.append(String.format("\\u%04x", (int) unit));
      else out.append(unit);
    }
    return out.append('"').toString();
  }
}
