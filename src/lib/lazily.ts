/**
 * A value that is made when it is first asked for. For schemas: zod takes about 0.1 ms for each object of one, which a
 * start that reads no such text would pay for nothing.
 */
export function lazily<Value>(make: () => Value): () => Value {
  let made: { readonly value: Value } | undefined;
  return () => (made ??= { value: make() }).value;
}
