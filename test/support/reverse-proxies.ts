import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { debianProgram } from "./debian-programs.ts";
import { freePort, isOpen } from "./ports.ts";

/** A real reverse proxy in front of a relay, in a process of its own. */
export interface ReverseProxy {
  /** As in `http://127.0.0.1:40000`. */
  readonly origin: string;
  readonly port: number;
  stop(): Promise<void>;
}

/** How it passes requests on: everything as it is, or what lies below `/relay` without that. */
export type Way = "as they are" | "without /relay";

export const PROXY_NAMES = ["nginx", "haproxy"] as const;
export type ProxyName = (typeof PROXY_NAMES)[number];

/** True where the proxy can be run. */
export const canRun = (name: ProxyName): boolean => debianProgram(name) !== undefined;

/** `upstream` is `127.0.0.1:PORT`, or `unix:PATH`. */
export async function startReverseProxy(name: ProxyName, upstream: string, way: Way): Promise<ReverseProxy> {
  const program = debianProgram(name);
  if (!program) throw new Error(`${name} is not there`);
  const folder = mkdtempSync(join(tmpdir(), `plansocket-${name}-`));
  const port = freePort();
  const config = join(folder, "conf");
  writeFileSync(config, CONFIGURATIONS[name]({ folder, port, upstream, way }));
  const args = name === "nginx" ? ["-p", folder, "-e", join(folder, "error"), "-c", config] : ["-db", "-f", config];
  const child = Bun.spawn([program.path, ...args], {
    env: { PATH: process.env["PATH"] ?? "", ...program.env },
    stdio: ["ignore", "ignore", "pipe"],
  });
  for (let tries = 0; !(await isOpen(port)); tries += 1) {
    if (tries === 250 || child.exitCode !== null) {
      child.kill();
      throw new Error(`${name} did not start: ${await new Response(child.stderr).text()}`);
    }
    await Bun.sleep(20);
  }
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    async stop() {
      child.kill();
      await child.exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

interface Place {
  readonly folder: string;
  readonly port: number;
  readonly upstream: string;
  readonly way: Way;
}

/** What owners write: forwarding headers, room for bodies, upgrades. Nothing about buffers. */
const CONFIGURATIONS: Readonly<Record<ProxyName, (place: Place) => string>> = {
  nginx: ({ folder, port, upstream, way }) => `
daemon off;
master_process off;
pid ${folder}/pid;
events {}
http {
  access_log off;
  ${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${folder}/${kind};`).join("\n  ")}
  client_max_body_size 64m;
  map $http_upgrade $connection_upgrade { default upgrade; "" ""; }
  server {
    listen 127.0.0.1:${port};
    location ${way === "as they are" ? "/" : "/relay/"} {
      proxy_pass http://${upstream}${way === "as they are" ? "" : upstream.startsWith("unix:") ? ":/" : "/"};
      proxy_http_version 1.1;
      proxy_set_header Host localhost;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Proto https;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      ${way === "as they are" ? "" : "proxy_set_header X-Forwarded-Prefix /relay;"}
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
    }
  }
}
`,
  haproxy: ({ port, upstream, way }) => `
defaults
  mode http
  timeout connect 5s
  timeout client 1m
  timeout server 1m
  timeout tunnel 1m
frontend clients
  bind 127.0.0.1:${port}
  option forwardfor
  http-request set-header X-Forwarded-Host %[req.hdr(Host)]
  http-request set-header X-Forwarded-Proto https
  ${way === "as they are" ? "" : "http-request set-header X-Forwarded-Prefix /relay\n  http-request replace-path /relay(/.*) \\1"}
  http-request set-header Host localhost
  default_backend relay
backend relay
  server one ${upstream.replace("unix:", "unix@")}
`,
};
