/** An item of one's own: its reconstruction, code, p-value and nearest ten. It never leaves this machine. */

import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { Beside } from "./beside";
import type { Facts, Given } from "./facts";
import { GivenForm } from "./given";
import { ItemNumber } from "./itemnumber";
import { itemOf, labelOf } from "./items";
import { chance, coordinate, number } from "./numbers";
import { Thumbnail } from "./shown";
import type { Encoded } from "./source";
import { attempt, condition, decoded, moveTo, pointCode, run, said, source } from "./state";

const found = signal<Encoded | null>(null);
const given = signal<Given | null>(null);
const busy = signal(false);

async function look(item: Given | null): Promise<void> {
  if (!item || !source.value) return;
  busy.value = true;
  const answer = await attempt("own", () => source.value!.encode(item, condition.value));
  busy.value = false;
  if (!answer) return;
  found.value = answer;
  said.value = `Your item: p-value ${answer.p_value === null ? "unknown" : chance(answer.p_value)}`;
}

export function OwnView(): JSX.Element {
  const here = run.value!;
  const picture = here.facts.reading.form === "image";
  const known = knownItems(here.facts);
  const take = (item: Given | null): void => {
    given.value = item;
    if (picture) void look(item); // a picture is whole when it is dropped or drawn
  };
  return (
    <>
      <p class="muted">
        {picture ? "Drop a picture or draw one" : "Give an item of your own"} and see how the model reconstructs it and how
        unusual it is. It never leaves this machine.
      </p>
      <GivenForm reading={here.facts.reading} example={itemOf(here, decoded.value?.nearest?.index ?? 0)} onGiven={take} />
      <div class="row">
        {!picture && (
          <button type="button" class="main" data-testid="own-look" disabled={!given.value || busy.value} onClick={() => look(given.value)}>
            {busy.value ? "Looking…" : "Look at it"}
          </button>
        )}
        {known > 0 && <ItemNumber name="or item" count={known} testid="own-item" onItem={(index) => void look({ index })} />}
      </div>
      {found.value && <Result answer={found.value} />}
    </>
  );
}

/** How many points' items can be asked for by number: the page itself has only those it shows, the server all or none. */
function knownItems({ source: from, points }: Facts): number {
  return from === "static" || !points.shown.count ? points.shown.count : points.count;
}

/** What a p-value says, in words. */
export function verdict(p: number): string {
  if (p <= 0.01) return "Very unusual";
  if (p <= 0.05) return "Unusual";
  return "Nothing unusual";
}

function Result({ answer }: { answer: Encoded }): JSX.Element {
  const p = answer.p_value;
  return (
    <div data-testid="own-result">
      <Beside
        small
        sides={[
          { name: "as the model sees it", shown: answer.item, testid: "own-shown" },
          { name: "reconstruction", shown: answer.reconstruction, testid: "own-reconstruction" },
        ]}
      />
      <dl class="figures result">
        <Figure name="p-value" value={p === null ? "–" : chance(p)} id="own-p" />
        <Figure name="ELBO" value={number(answer.elbo, 4)} id="own-elbo" />
        <Figure name="distortion" value={number(answer.distortion, 4)} id="own-distortion" />
        <Figure name="KL" value={number(answer.kl, 4)} id="own-kl" />
      </dl>
      {p === null ? (
        <p class="muted">There is no p-value: no held-out items are at hand to compare yours with.</p>
      ) : (
        <p>
          <b data-testid="own-verdict">{verdict(p)}.</b>{" "}
          <span class="muted">
            The p-value is the share of held-out items that are at least as unusual, by {run.value!.facts.score}.
          </span>
        </p>
      )}
      <Code code={answer.code} />
      <h3>The ten nearest items</h3>
      <Nearest nearest={answer.nearest} />
      <button type="button" data-testid="own-go" onClick={() => moveTo(answer.code)}>Go there</button>
    </div>
  );
}

function Figure({ name, value, id }: { name: string; value: string; id: string }): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd data-testid={id}>{value}</dd>
    </div>
  );
}

function Code({ code }: { code: number[] }): JSX.Element {
  const dims = run.value!.facts.dims.filter((dim) => dim.active).slice(0, 24);
  return (
    <dl class="figures code" data-testid="own-code">
      {dims.map((dim) => <Figure key={dim.index} name={dim.name} value={coordinate(code[dim.index])} id={`own-z${dim.index}`} />)}
    </dl>
  );
}

function Nearest({ nearest }: { nearest: Encoded["nearest"] }): JSX.Element {
  return (
    <ol class="nearest-ten" data-testid="own-nearest">
      {nearest.map(({ index, distance }) => (
        <li key={index}>
          <button type="button" class="frame" title="Go there" onClick={() => moveTo(pointCode(index))}>
            {["image", "text"].includes(run.value!.facts.items?.form ?? "") && <Thumbnail index={index} />}
            <span>item {index}</span>
            {labelOf(run.value!, index) && <b>label {labelOf(run.value!, index)}</b>}
            <span class="muted">{coordinate(distance)} away</span>
          </button>
        </li>
      ))}
    </ol>
  );
}
