/** The source without a server: the model itself runs in the page, by onnxruntime's WebAssembly. */

import * as ort from "onnxruntime-web/wasm";
import type { Facts, Given, Shown } from "./facts";
import { nearestCodes } from "./geometry";
import { itemOf } from "./items";
import { pValue } from "./pvalue";
import { shownOf, xOf } from "./reading";
import { fetched, SourceError, type Condition, type Encoded, type Loaded, type Path, type Source } from "./source";
import { run } from "./state";
import { view } from "./facts";

type Outputs = Record<string, ort.Tensor>;

/** WebAssembly as it is, or packed by gzip, which is how it lies beside the page. */
async function wasm(): Promise<ArrayBuffer> {
  const bytes = await (await fetched("assets/onnxruntime.wasm.gz")).arrayBuffer();
  const [first, second] = new Uint8Array(bytes);
  if (first !== 0x1f || second !== 0x8b) return bytes; // a server unpacked it on the way
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

async function session(name: string): Promise<ort.InferenceSession> {
  const bytes = await (await fetched(`model/${name}.onnx`)).arrayBuffer();
  return ort.InferenceSession.create(new Uint8Array(bytes), { executionProviders: ["wasm"] });
}

const once = <Made>(make: () => Promise<Made>): (() => Promise<Made>) => {
  let made: Promise<Made> | null = null;
  return () => (made ??= make());
};

export async function inThePage({ facts, bytes }: Loaded): Promise<Source> {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = await wasm();
  const models = { decoder: once(() => session("decoder")), encoder: once(() => session("encoder")), score: once(() => session("score")) };
  let turn: Promise<unknown> = Promise.resolve();
  const ask = (name: keyof typeof models, feeds: Outputs): Promise<Outputs> => {
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
    private readonly ask: (name: "decoder" | "encoder" | "score", feeds: Outputs) => Promise<Outputs>,
  ) {}

  async decode(codes: number[][], condition: Condition): Promise<Shown[]> {
    const x = await this.decoded(codes, condition);
    return this.shown(x);
  }

  async path(codes: number[][], condition: Condition): Promise<Path> {
    const x = await this.decoded(codes, condition);
    const { elbo } = await this.ask("score", { x, ...this.conditions(codes.length, condition) });
    return { items: this.shown(x), nll: Array.from(elbo.data as Float32Array, (value) => -value) };
  }

  async encode(given: Given, condition: Condition): Promise<Encoded> {
    const x = await this.tensor(given, condition);
    const c = this.conditions(1, condition);
    const { mean } = await this.ask("encoder", { x, ...c });
    const { elbo, distortion, kl } = await this.ask("score", { x, ...c });
    const code = Array.from(mean.data as Float32Array);
    const [reconstruction] = await this.decode([code], condition);
    const first = (tensor: ort.Tensor): number => Number(tensor.data[0]);
    return {
      code,
      item: this.shown(x)[0],
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

  private async decoded(codes: number[][], condition: Condition): Promise<ort.Tensor> {
    const z = new ort.Tensor("float32", Float32Array.from(codes.flat()), [codes.length, this.facts.latent]);
    const { x } = await this.ask("decoder", { z, ...this.conditions(codes.length, condition) });
    this.shape = x.dims.slice(1) as number[];
    return x;
  }

  private shown(x: ort.Tensor): Shown[] {
    const [count] = x.dims;
    const data = x.data as Float32Array;
    const width = data.length / count;
    return Array.from({ length: count }, (_, i) => shownOf(this.facts.reading, data.subarray(i * width, (i + 1) * width)));
  }

  /** (1, *shape); a point of the run is read from how it is shown. */
  private async tensor(given: Given, condition: Condition): Promise<ort.Tensor> {
    if (!this.shape.length) await this.decoded([new Array<number>(this.facts.latent).fill(0)], condition);
    const item = "index" in given ? itemOf(run.value!, given.index) : (given as Shown);
    if (!item) throw new SourceError("this item is not on the page", "E212", "take one of the first items");
    const width = this.shape.reduce((product, side) => product * side, 1);
    return new ort.Tensor("float32", xOf(this.facts.reading, asGiven(item), width), [1, ...this.shape]);
  }

  private conditions(count: number, condition: Condition): Outputs {
    if (!this.facts.conditional) return {};
    const classes = this.facts.labels.length;
    const c = new Float32Array(count * classes);
    if (condition !== null) for (let row = 0; row < count; row++) c[row * classes + condition] = 1;
    return { c: new ort.Tensor("float32", c, [count, classes]) };
  }
}

/** An item as it is shown, handed back as if someone had given it. */
function asGiven(item: Shown | Given): Given {
  if (!("parts" in item)) return item as Given;
  return { parts: item.parts.map((part) => ({ name: part.name, given: asGiven("shown" in part ? part.shown : part.given) })) };
}
