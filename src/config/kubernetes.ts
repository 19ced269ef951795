import type { Environment } from "../lib/environment.ts";

/**
 * Kubernetes sets variables for every service of a namespace (kubernetes.io, "Accessing the Service"): a service named
 * plansocket brings PLANSOCKET_PORT=tcp://IP:PORT beside PLANSOCKET_SERVICE_HOST. Such a value is no setting of anybody.
 * Without the marks of Kubernetes the same value is its owner's mistake.
 */
export function isKubernetesAddress(variable: string, value: string, env: Environment): boolean {
  if (!variable.endsWith("_PORT") || !/^(tcp|udp|sctp):\/\//.test(value)) return false;
  return isInKubernetes(env) || Boolean(env[`${variable.slice(0, -"_PORT".length)}_SERVICE_HOST`]);
}

/** True in a pod. */
export function isInKubernetes(env: Environment): boolean {
  return Boolean(env["KUBERNETES_SERVICE_HOST"] || env["PLANSOCKET_SERVICE_HOST"]);
}
