/** The least that any relay can do: every byte to the backend and back, with the login put in. The yardstick. */
const [baseUrl, accessToken, accountId] = process.argv.slice(2);

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  idleTimeout: 0,
  async fetch(request) {
    if (request.method === "GET") return new Response("ok");
    const upstream = await fetch(`${baseUrl}/responses`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${accessToken}`,
        "chatgpt-account-id": accountId ?? "",
        "content-type": "application/json",
        version: "0.169.0",
      },
      body: await request.arrayBuffer(),
      signal: request.signal,
    });
    return new Response(upstream.body, { status: upstream.status, headers: { "content-type": "text/event-stream" } });
  },
});
process.stdout.write(`${JSON.stringify({ port: server.port })}\n`);
