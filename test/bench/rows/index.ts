import type { Row } from "../row.ts";
import { curves } from "./curves.ts";
import { firstToken } from "./first-token.ts";
import { growth } from "./growth.ts";
import { bodies, history } from "./large.ts";
import { ledger } from "./ledger.ts";
import { page } from "./page.ts";
import { open, paced } from "./paced.ts";
import { prefix } from "./prefix.ts";
import { replicas } from "./replicas.ts";
import { requests } from "./requests.ts";
import { session } from "./session.ts";
import { sockets } from "./sockets.ts";
import { stalled } from "./stalled.ts";
import { start } from "./start.ts";
import { stream } from "./stream.ts";

/** In the order in which they are measured and told. */
export const ROWS: readonly Row[] = [
  start,
  firstToken,
  requests,
  stream,
  paced,
  open,
  stalled,
  sockets,
  growth,
  bodies,
  history,
  session,
  prefix,
  ledger,
  page,
  replicas,
  curves,
];
