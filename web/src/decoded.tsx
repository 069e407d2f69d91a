/** What the model decodes where we look, beside the nearest training item. */

import type { JSX } from "preact";
import { Beside } from "./beside";
import { itemOf, nameOf } from "./items";
import { coordinate } from "./numbers";
import { condition, decoded, glance, look, run } from "./state";

/** Whose code is decoded: that of the place one points at, or that of the place one is at. */
export function DecodedTitle(): JSX.Element {
  return <>Decoded <span class="muted">{glance.value ? "where you point" : "where you are"}</span></>;
}

export function DecodedView(): JSX.Element | null {
  const [here, now] = [run.value, decoded.value];
  if (!here || !now) return <p class="muted">Decoding…</p>;
  const index = now.nearest?.index ?? -1;
  return (
    <div data-testid="decoded">
      <Beside
        sides={[
          { name: "Decoded", shown: now.shown, testid: "decoded-item" },
          { name: `Nearest: ${nameOf(here, index)}`, shown: itemOf(here, index), testid: "nearest-item", ghost: true },
        ]}
      />
      <p class="note" role="status" data-testid="off-data">
        {now.off && "Off the data: what you see is a guess."}
      </p>
      <p class="muted">
        Distance to the nearest item in the latent space: <b data-testid="nearest-distance">{coordinate(now.nearest?.distance)}</b>
      </p>
      <ConditionChoice />
      <p class="unseen" aria-live="polite" data-testid="decoded-words">
        {now.off ? "Off the data. " : ""}Decoded; nearest is {nameOf(here, index)}.
      </p>
    </div>
  );
}

/** A model that takes a label can be asked to decode as any of them. */
function ConditionChoice(): JSX.Element | null {
  const facts = run.value?.facts;
  if (!facts?.conditional) return null;
  return (
    <label class="field">
      <span>Decode as</span>
      <select
        data-testid="condition"
        value={condition.value ?? ""}
        onChange={({ currentTarget: { value } }) => {
          condition.value = value === "" ? null : Number(value);
          look(performance.now());
        }}
      >
        <option value="">no label</option>
        {facts.labels.map((label, i) => <option key={i} value={i}>{label}</option>)}
      </select>
    </label>
  );
}
