/** What the model decodes where we look, beside the nearest training item. */

import type { JSX } from "preact";
import type { Shown } from "./facts";
import { itemOf, nameOf } from "./items";
import { number } from "./numbers";
import { columnNames, Item } from "./shown";
import { condition, decoded, glance, look, run } from "./state";

export function DecodedView(): JSX.Element | null {
  const [here, now] = [run.value, decoded.value];
  if (!here || !now) return <p class="muted">Decoding…</p>;
  const index = now.nearest?.index ?? -1;
  const beside = itemOf(here, index);
  const names = [glance.value ? "Decoded under the pointer" : "Decoded here", `Nearest: ${nameOf(here, index)}`];
  return (
    <div data-testid="decoded">
      {"cells" in now.shown && beside && "cells" in beside ? (
        <Together names={names} decoded={now.shown.cells} nearest={beside.cells} />
      ) : (
        <SideBySide names={names} decoded={now.shown} nearest={beside} />
      )}
      <p class="note" role="status" data-testid="off-data">
        {now.off && "Off the data: hardly any training item lies here, so what you see is a guess."}
      </p>
      <p class="muted">
        Distance to the nearest item: <b data-testid="nearest-distance">{number(now.nearest?.distance)}</b>
      </p>
      <ConditionChoice />
      <p class="unseen" aria-live="polite" data-testid="decoded-words">
        {now.off ? "Off the data. " : ""}Decoded; nearest is {nameOf(here, index)}.
      </p>
    </div>
  );
}

interface Pair<One> {
  names: string[];
  decoded: One;
  nearest: One | null;
}

function SideBySide({ names, decoded: made, nearest }: Pair<Shown>): JSX.Element {
  return (
    <div class="pair">
      <figure data-testid="decoded-item">
        <Item shown={made} label={names[0]} />
        <figcaption>{names[0]}</figcaption>
      </figure>
      <figure data-testid="nearest-item" class="ghost">
        {nearest ? <Item shown={nearest} label={names[1]} /> : <p class="muted">not on this page</p>}
        <figcaption>{names[1]}</figcaption>
      </figure>
    </div>
  );
}

function Together({ names, decoded: made, nearest }: Pair<string[]>): JSX.Element {
  const columns = columnNames(run.value?.facts.reading);
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Decoded and nearest row" data-testid="decoded-item">
      <table class="cells">
        <thead>
          <tr>
            <th scope="col">column</th>
            {names.map((name) => <th scope="col" key={name}>{name}</th>)}
          </tr>
        </thead>
        <tbody>
          {made.map((cell, i) => (
            <tr key={i} class={cell === nearest?.[i] ? "" : "differs"}>
              <th scope="row">{columns[i] ?? i + 1}</th>
              <td>{cell}</td>
              <td>{nearest?.[i] === "" ? "missing" : nearest?.[i]}</td>
            </tr>
          ))}
        </tbody>
      </table>
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
