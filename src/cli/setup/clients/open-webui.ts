import type { ClientSetup, Target } from "../client.ts";
import { editEnvFile } from "../formats/env-file.ts";

/** Open WebUI takes its first connection from the environment and keeps later ones in its database. */
export const openWebui: ClientSetup = {
  title: "Open WebUI",
  command: "open-webui",
  replaces: { form: "${NAME}", pattern: /\$\{[^}]+\}/ },
  plan(target) {
    const path = target.envFile;
    const variables = { OPENAI_API_BASE_URL: target.v1, OPENAI_API_KEY: target.key };
    return {
      files: path === undefined ? [] : [{ path, edit: (before) => editEnvFile(before, variables) }],
      ...(path === undefined ? { instructions: instructions(target, variables) } : {}),
      next: [
        "Once Open WebUI has started, it goes by its own database: add a connection in Admin Settings › Connections.",
      ],
    };
  },
};

function instructions({ origin, key, hasKey }: Target, variables: Record<string, string>): string {
  const port = new URL(origin).port;
  return [
    "Environment of Open WebUI's first start (or --env-file FILE writes them to its .env):",
    "",
    ...Object.entries(variables).map(([name, value]) => `  ${name}=${value}`),
    "",
    "In a container 127.0.0.1 is the container itself. Start the relay with",
    "",
    `  ${hasKey ? "" : "PLANSOCKET_API_KEY=… "}plansocket serve --host 0.0.0.0 --port ${port} --allow-host host.docker.internal`,
    "",
    `and Open WebUI with --add-host host.docker.internal:host-gateway -e OPENAI_API_BASE_URL=http://host.docker.internal:${port}/v1`,
    `-e OPENAI_API_KEY=${hasKey ? key : "… (the relay's key)"}.`,
  ].join("\n");
}
