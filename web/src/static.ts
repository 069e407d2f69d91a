/** The source without a server: the model itself runs in the page, by onnxruntime's WebAssembly. */

import * as ort from "onnxruntime-web/wasm";
import type { Facts, Given, Shown } from "./facts";
import { codeOf, nearestCodes } from "./geometry";
import { itemOf } from "./items";
import { pValue } from "./pvalue";
import { conditionOf, datumOf, labelOf, shownOf, xOf } from "./reading";
import { fetched, SourceError, type Condition, type Encoded, type Loaded, type Path, type Source } from "./source";
import { run } from "./state";
import { view } from "./facts";

type Outputs = Record<string, ort.Tensor>;
const GRAPHS = ["decoder", "encoder", "score", "likelihood"] as const;
type Graph = (typeof GRAPHS)[number];

/** WebAssembly as it is, or packed by gzip, which is how it lies beside the page. */
async function wasm(): Promise<ArrayBuffer> {
  const bytes = await (await fetched("assets/onnxruntime.wasm.gz")).arrayBuffer();
  const [first, second] = new Uint8Array(bytes);
  if (first !== 0x1f || second !== 0x8b) return bytes; // a server unpacked it on the way
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

async function session(name: string): Promise<ort.InferenceSession> {
  const bytes = await (await fetched(`model/${name}.onnx`)).arrayBuffer();
  return ort.InferenceSession.create(new Uint8Array(bytes), { executionProviders: ["wasm"], logSeverityLevel: 3 });
}

const once = <Made>(make: () => Promise<Made>): (() => Promise<Made>) => {
  let made: Promise<Made> | null = null;
  return () => (made ??= make());
};

export async function inThePage({ facts, bytes }: Loaded): Promise<Source> {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = await wasm();
  const models = Object.fromEntries(GRAPHS.map((name) => [name, once(() => session(name))])) as Record<Graph, () => Promise<ort.InferenceSession>>;
  let turn: Promise<unknown> = Promise.resolve();
  const ask = (name: Graph, feeds: Outputs): Promise<Outputs> => {
    const answer = turn.then(async () => (await models[name]()).run(feeds) as Promise<Outputs>);
    turn = answer.catch(() => undefined);
    return answer;
  };
  await models.decoder();
  return new InThePage(facts, facts.heldout ? view(facts.heldout, bytes) : new Float32Array(0), ask);
}

class InThePage implements Source {
  private shape: number[] = [];

  constructor(
    private readonly facts: Facts,
    private readonly heldout: ArrayLike<number>,
    private readonly ask: (name: Graph, feeds: Outputs) => Promise<Outputs>,
  ) {}

  async decode(codes: number[][], condition: Condition): Promise<Shown[]> {
    return this.shown(await this.decoded(codes, condition), condition);
  }

  async path(codes: number[][], condition: Condition): Promise<Path> {
    const x = await this.decoded(codes, condition);
    const items = this.shown(x, condition);
    if (!this.facts.nll) return { items, nll: null };
    const nll: number[] = [];
    for (const row of rowsOf(x)) nll.push(await this.nll(row, condition)); // one at a time: each is drawn dozens of times
    return { items, nll };
  }

  /** −log p(x) of what was decoded, as a datum. */
  private async nll(decoded: Float32Array, condition: Condition): Promise<number> {
    const x = new ort.Tensor("float32", datumOf(this.facts.reading, decoded), [1, ...this.shape]);
    const feeds = { x, ...this.conditions(1, condition) };
    const found = this.facts.nll?.drawn ? (await this.ask("likelihood", feeds)).log_p : (await this.ask("score", feeds)).elbo;
    return -Number(found.data[0]);
  }

  async encode(asked: Given, chosen: Condition): Promise<Encoded> {
    const given = this.itemOf(asked);
    const condition = labelOf(this.facts.reading, given, chosen);
    const x = await this.tensor(given, condition);
    const c = this.conditions(1, condition);
    const { mean } = await this.ask("encoder", { x, ...c });
    const { elbo, distortion, kl } = await this.ask("score", { x, ...c });
    const code = Array.from(mean.data as Float32Array);
    const [reconstruction] = await this.decode([code], condition);
    const first = (tensor: ort.Tensor): number => Number(tensor.data[0]);
    return {
      code,
      item: "image" in given ? given : this.shown(x, condition)[0],
      reconstruction,
      elbo: first(elbo),
      distortion: first(distortion),
      kl: first(kl),
      p_value: this.heldout.length ? pValue(this.heldout, -first(elbo)) : null,
      nearest: nearestCodes(run.value!.codes, code, 10),
    };
  }

  live(): Promise<never> {
    return Promise.reject(new SourceError("a static page does not train"));
  }

  draw(): Promise<never> {
    return Promise.reject(new SourceError("a static page has the maps it was made with"));
  }

  private async decoded(codes: number[][], condition: Condition): Promise<ort.Tensor> {
    const z = new ort.Tensor("float32", Float32Array.from(codes.map((code) => this.possible(code)).flat()), [codes.length, this.facts.latent]);
    const { x } = await this.ask("decoder", { z, ...this.conditions(codes.length, condition) });
    this.shape = x.dims.slice(1) as number[];
    return x;
  }

  /** Codes of a codebook between two entries become those of the nearest point: none lies there. */
  private possible(code: number[]): number[] {
    if (!this.facts.discrete || code.every(Number.isInteger)) return code;
    const [near] = nearestCodes(run.value!.codes, code, 1);
    return near ? codeOf(run.value!.codes, near.index, code.length) : code;
  }

  private shown(x: ort.Tensor, condition: Condition): Shown[] {
    return rowsOf(x).map((row) => shownOf(this.facts.reading, row, condition));
  }

  /** A point of the run is read from how it is shown. */
  private itemOf(asked: Given): Given {
    const item = "index" in asked ? itemOf(run.value!, asked.index) : asked;
    if (!item) throw new SourceError("this item is not on the page.", "E212", "Take one of the first items.");
    return asGiven(item);
  }

  /** (1, *shape) */
  private async tensor(given: Given, condition: Condition): Promise<ort.Tensor> {
    if (!this.shape.length) await this.decoded([new Array<number>(this.facts.latent).fill(0)], condition);
    const width = this.shape.reduce((product, side) => product * side, 1);
    return new ort.Tensor("float32", xOf(this.facts.reading, given, width), [1, ...this.shape]);
  }

  private conditions(count: number, condition: Condition): Outputs {
    if (!this.facts.conditional) return {};
    const one = conditionOf(this.facts.reading, this.facts.labels.length, condition);
    const rows = Float32Array.from({ length: count * one.length }, (_, i) => one[i % one.length]);
    return { c: new ort.Tensor("float32", rows, [count, one.length]) };
  }
}

/** (N, *shape) → N of *shape, flat. */
function rowsOf(x: ort.Tensor): Float32Array[] {
  const data = x.data as Float32Array;
  const width = data.length / x.dims[0];
  return Array.from({ length: x.dims[0] }, (_, i) => data.subarray(i * width, (i + 1) * width));
}

/** An item as it is shown, handed back as if someone had given it. */
function asGiven(item: Shown | Given): Given {
  if (!("parts" in item)) return item as Given;
  return { parts: item.parts.map((part) => ({ name: part.name, given: asGiven("shown" in part ? part.shown : part.given) })) };
}
