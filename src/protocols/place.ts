/**
 * Where something stands in the client's request, as in `messages[2].content`, written when it is asked for: only a
 * refusal names places, and a long history has thousands of them.
 */
export type Place = () => string;
