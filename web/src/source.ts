/** Where decoded items come from: a server on this machine, or the model in the page itself. */

import type { Facts, Given, Shown } from "./facts";

export interface Encoded {
  code: number[];
  item: Shown;
  reconstruction: Shown;
  elbo: number | null;
  distortion: number | null;
  kl: number | null;
  p_value: number | null;
  nearest: { index: number; distance: number }[];
}

export interface Path {
  items: Shown[];
  nll: (number | null)[] | null;
}

export interface News {
  records: Record<string, unknown>[];
  line: number;
  status: string;
  /** Which of the models that the training has saved the facts are of; those of a page may be older. */
  edition: number;
}

export type Condition = number | null;

export interface Source {
  decode(codes: number[][], condition: Condition): Promise<Shown[]>;
  encode(item: Given, condition: Condition): Promise<Encoded>;
  path(codes: number[][], condition: Condition): Promise<Path>;
  live(after: number): Promise<News>;
  /** Make a map that takes long; then the facts have it. */
  draw(map: string): Promise<void>;
}

/** What went wrong, in words for the person at the page. */
export class SourceError extends Error {
  constructor(
    message: string,
    readonly code = "",
    readonly hint = "",
  ) {
    super(message);
  }
}

export interface Loaded {
  facts: Facts;
  bytes: ArrayBuffer;
}

/** `facts.json` and `arrays.bin`, beside the page; both of one model, where a training saves one after the other. */
export async function load(): Promise<Loaded> {
  const facts = await told();
  const bytes = await (await fetched("arrays.bin")).arrayBuffer();
  return facts.live && (await told()).edition !== facts.edition ? load() : { facts, bytes };
}

const told = async (): Promise<Facts> => (await fetched("facts.json")).json();

export async function fetched(url: string, init: RequestInit = {}): Promise<Response> {
  const answer = await fetch(url, { ...init, headers: { ...credentials(), ...init.headers }, cache: "no-store" });
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => null);
  const error = said?.error ?? {};
  throw new SourceError(error.message ?? `${url}: the server answered ${answer.status}`, error.code, error.hint);
}

/** The token of a server that is not on this machine stands behind # and so never leaves in a URL. */
function credentials(): Record<string, string> {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  return token ? { Authorization: `Bearer ${token}` } : {};
}
