import { PROVIDER, type ClientSetup } from "../client.ts";
import { putYamlItems, setYaml } from "../formats/yaml-edit.ts";
import { inFolder } from "../place.ts";

/** Hermes asks a provider of one's own for its models, so that one entry is enough. */
export const hermes: ClientSetup = {
  title: "Hermes",
  command: "hermes",
  replaces: { form: "${NAME}", pattern: /\$\{[^}]+\}/ },
  plan(target) {
    const path = inFolder(target, "HERMES_HOME", [".hermes"], "config.yaml");
    const provider = { name: PROVIDER, base_url: target.v1, api_key: target.key, model: target.model };
    const edit = (before: string) => {
      const listed = putYamlItems(path, before, "custom_providers", [provider], "name");
      if (!target.isDefault && /^model:/m.test(before)) return listed;
      const chosen = setYaml(path, listed, ["model", "provider"], `custom:${PROVIDER}`);
      return setYaml(path, chosen, ["model", "default"], target.model);
    };
    return { files: [{ path, edit }], next: [`Start \`hermes\`, and choose custom:${PROVIDER} with /model.`] };
  },
};
