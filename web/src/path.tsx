/** From A to B: what the model decodes on the way, and how likely it finds each of them. */

import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { ends, setEnd } from "./ends";
import { gifOf, webpOf } from "./film";
import { pathBetween } from "./geometry";
import { ItemNumber } from "./itemnumber";
import { nameOf } from "./items";
import { save } from "./save";
import type { Path } from "./source";
import { Curve, Film } from "./strip";
import { attempt, code, condition, moveTo, pointCode, run, said, source, trouble } from "./state";

const steps = signal(9);
const way = signal<"linear" | "slerp">("linear");
const found = signal<(Path & { codes: number[][] }) | null>(null);
const busy = signal(false);

async function show(): Promise<void> {
  const { a, b } = ends.value;
  if (!a || !b || !source.value) return;
  busy.value = true;
  const codes = pathBetween(a.code, b.code, steps.value, way.value);
  const path = await attempt("path", () => source.value!.path(codes, condition.value));
  busy.value = false;
  if (!path) return;
  found.value = { ...path, codes };
  said.value = `${codes.length} steps from A to B decoded`;
}

export function PathView(): JSX.Element {
  const { a, b } = ends.value;
  return (
    <>
      <p class="muted">
        Choose two ends A and B and see what the model decodes on the way. Click them on the map with the tool “A to B”, or
        set them here.
      </p>
      <div class="row">
        <EndChoice which="a" />
        <EndChoice which="b" />
      </div>
      <div class="row">
        <label class="field">
          <span>Steps</span>
          <input
            type="number" min="3" max="33" data-testid="path-steps" value={steps.value}
            onChange={(event) => (steps.value = Math.max(3, Math.min(33, event.currentTarget.valueAsNumber || 9)))}
          />
        </label>
        <label class="field">
          <span>Path</span>
          <select
            data-testid="path-way" value={way.value}
            onChange={(event) => (way.value = event.currentTarget.value as "linear" | "slerp")}
          >
            <option value="linear">straight line</option>
            <option value="slerp">great circle (slerp)</option>
          </select>
        </label>
        <button type="button" class="main" data-testid="path-show" disabled={!a || !b || busy.value} onClick={show}>
          {busy.value ? "Decoding…" : "Show the path"}
        </button>
      </div>
      {found.value && <Strip />}
    </>
  );
}

function EndChoice({ which }: { which: "a" | "b" }): JSX.Element {
  const here = run.value!;
  const end = ends.value[which];
  const name = which.toUpperCase();
  return (
    <fieldset class="end-choice">
      <legend>{name}: <b data-testid={`end-${which}`}>{end?.name ?? "not chosen"}</b></legend>
      <button type="button" data-testid={`end-${which}-here`} onClick={() => setEnd(which, code.value, "where you were")}>
        Where you are
      </button>
      <ItemNumber
        name="or item" count={here.facts.points.count} testid={`end-${which}-item`}
        onItem={(index) => setEnd(which, pointCode(index), nameOf(here, index))}
      />
    </fieldset>
  );
}

function Strip(): JSX.Element {
  const { items, nll, codes } = found.value!;
  const film = async (suffix: "gif" | "webp"): Promise<void> => {
    const reading = run.value!.facts.reading;
    try {
      save(`path.${suffix}`, suffix === "gif" ? gifOf(items, reading) : await webpOf(items, reading));
    } catch (error) {
      trouble.value = { of: "film", message: (error as Error).message, hint: "" };
    }
  };
  return (
    <div data-testid="path-strip">
      <div class="scroll film" tabIndex={0} role="region" aria-label="The way from A to B">
        <Film items={items} nll={nll} go={(step) => moveTo(codes[step])} />
      </div>
      {nll && <Curve nll={nll} />}
      {nll && <p class="muted">{run.value!.facts.nll?.says}. The higher, the less likely.</p>}
      <div class="row">
        <button type="button" data-testid="path-gif" onClick={() => film("gif")}>Save as GIF</button>
        <button type="button" data-testid="path-webp" onClick={() => film("webp")}>Save as WebP</button>
      </div>
    </div>
  );
}
