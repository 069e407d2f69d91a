/** From A to B: what the model decodes on the way, and how likely it finds each of them. */

import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { ends, setEnd } from "./ends";
import type { Shown } from "./facts";
import { gifOf, webpOf } from "./film";
import { pathBetween } from "./geometry";
import { nameOf } from "./items";
import { number } from "./numbers";
import { save } from "./save";
import { columnNames, Item } from "./shown";
import type { Path } from "./source";
import { useWidth } from "./width";
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
        Choose two ends: with the tool “A to B” on the map, the keys A and B there, or by item number.
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
          <span>Way</span>
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
  const end = ends.value[which];
  const name = which.toUpperCase();
  const pick = (value: number): void => {
    const here = run.value!;
    if (Number.isInteger(value) && value >= 0 && value < here.facts.points.count)
      setEnd(which, pointCode(value), nameOf(here, value));
  };
  return (
    <fieldset class="end-choice">
      <legend>{name}: <b data-testid={`end-${which}`}>{end?.name ?? "not chosen"}</b></legend>
      <button type="button" data-testid={`end-${which}-here`} onClick={() => setEnd(which, code.value, "the present place")}>
        {name} is here
      </button>
      <label class="field">
        <span>item</span>
        <input
          type="number" min="0" max={(run.value?.facts.points.count ?? 1) - 1} data-testid={`end-${which}-item`}
          onChange={(event) => pick(event.currentTarget.valueAsNumber)}
        />
      </label>
    </fieldset>
  );
}

function Strip(): JSX.Element {
  const { items, nll } = found.value!;
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
        <Film items={items} nll={nll} />
      </div>
      {nll && <Curve nll={nll} />}
      <p class="muted">{nllWords()}</p>
      <div class="row">
        <button type="button" data-testid="path-gif" onClick={() => film("gif")}>Save as GIF</button>
        <button type="button" data-testid="path-webp" onClick={() => film("webp")}>Save as WebP</button>
      </div>
    </div>
  );
}

/** Which bound the figures are; the page itself has only the score to go by. */
function nllWords(): string {
  const { source: from, nll, score } = run.value!.facts;
  return from === "static" && nll ? `${score}, in nats` : nll;
}

interface FilmProps {
  items: Shown[];
  nll: (number | null)[] | null;
}

const go = (step: number): void => moveTo(found.value!.codes[step]);

function Film(film: FilmProps): JSX.Element {
  if ("cells" in film.items[0]) return <FilmTable {...film} />;
  return "text" in film.items[0] ? <FilmList {...film} /> : <FilmRow {...film} />;
}

const Step = ({ i }: { i: number }): JSX.Element => (
  <button type="button" class="small" data-testid={`frame-${i}`} title="Go there" onClick={() => go(i)}>{i + 1}</button>
);

function FilmList({ items, nll }: FilmProps): JSX.Element {
  return (
    <table class="texts">
      <thead>
        <tr>
          <th scope="col">step</th>
          <th scope="col">text</th>
          {nll && <th scope="col">−log p</th>}
        </tr>
      </thead>
      <tbody>
        {items.map((item, i) => (
          <tr key={i}>
            <th scope="row"><Step i={i} /></th>
            <td>{"text" in item && item.text}</td>
            {nll && <td>{number(nll[i], 4)}</td>}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function FilmRow({ items, nll }: FilmProps): JSX.Element {
  return (
    <ol class="frames">
      {items.map((item, i) => (
        <li key={i}>
          <button type="button" class="frame" data-testid={`frame-${i}`} title="Go there" onClick={() => go(i)}>
            <Item shown={item} label={`Step ${i + 1}`} />
            {nll && <span>{number(nll[i], 4)}</span>}
          </button>
        </li>
      ))}
    </ol>
  );
}

function FilmTable({ items, nll }: FilmProps): JSX.Element {
  const names = columnNames(run.value?.facts.reading);
  const rows = "cells" in items[0] ? items[0].cells.map((_, row) => names[row] ?? `${row + 1}`) : [];
  const cell = (item: Shown, row: number): string => ("cells" in item ? item.cells[row] : "");
  return (
    <table class="cells">
      <thead>
        <tr>
          <th scope="col">step</th>
          {items.map((_, i) => (
            <th scope="col" key={i}>
              <Step i={i} />
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((name, row) => (
          <tr key={row}>
            <th scope="row">{name}</th>
            {items.map((item, i) => (
              <td key={i} class={i && cell(item, row) !== cell(items[i - 1], row) ? "changed" : ""}>{cell(item, row)}</td>
            ))}
          </tr>
        ))}
        {nll && (
          <tr>
            <th scope="row">−log p</th>
            {nll.map((value, i) => <td key={i}>{number(value, 4)}</td>)}
          </tr>
        )}
      </tbody>
    </table>
  );
}

/** −log p along the way. */
function Curve({ nll }: { nll: (number | null)[] }): JSX.Element | null {
  const [box, width] = useWidth();
  const known = nll.filter((value): value is number => value !== null && Number.isFinite(value));
  if (known.length < 2) return null;
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const [height, left, edge] = [150, 62, 18];
  const x = (i: number): number => left + 10 + (i / (nll.length - 1)) * (width - left - 30);
  const y = (value: number): number => height - edge - ((value - low) / (high - low || 1)) * (height - 2 * edge);
  const line = nll.map((value, i) => (value === null ? "" : `${x(i)},${y(value)}`)).filter(Boolean).join(" ");
  return (
    <figure ref={box} data-testid="path-curve">
      <svg
        class="curve" width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img"
        aria-label={`−log p along the way: from ${number(nll[0], 4)} at A to ${number(nll.at(-1), 4)} at B, at most ${number(high, 4)}`}
      >
        {[low, high].map((value) => (
          <g key={value}>
            <line x1={left} x2={width} y1={y(value)} y2={y(value)} class="grid" />
            <text x={left - 8} y={y(value) + 4} class="tick end-text">{number(value, 4)}</text>
          </g>
        ))}
        <polyline points={line} class="nll" />
        {nll.map((value, i) => value !== null && <circle key={i} cx={x(i)} cy={y(value)} r="4" class="dot" />)}
        <text x={x(0)} y={height - 2} class="tick">A</text>
        <text x={x(nll.length - 1)} y={height - 2} class="tick">B</text>
      </svg>
      <figcaption>−log p(x) along the way, in nats: higher is less likely</figcaption>
    </figure>
  );
}
