/** The items on the way from A to B, as a strip of pictures, a table or a list, and the curve of how likely they are. */

import type { JSX } from "preact";
import type { Shown } from "./facts";
import { number } from "./numbers";
import { columnNames, Item } from "./shown";
import { run } from "./state";
import { useWidth } from "./width";

const nllName = (): string => run.value?.facts.nll?.name ?? "";

interface FilmProps {
  items: Shown[];
  nll: (number | null)[] | null;
  /** What choosing a step does. */
  go: (step: number) => void;
}

export function Film(film: FilmProps): JSX.Element {
  if ("cells" in film.items[0]) return <FilmTable {...film} />;
  return "text" in film.items[0] ? <FilmList {...film} /> : <FilmRow {...film} />;
}

const Step = ({ i, go }: { i: number; go: FilmProps["go"] }): JSX.Element => (
  <button type="button" class="small" data-testid={`frame-${i}`} title="Go there" onClick={() => go(i)}>{i + 1}</button>
);

function FilmList({ items, nll, go }: FilmProps): JSX.Element {
  return (
    <table class="texts">
      <thead>
        <tr>
          <th scope="col">step</th>
          <th scope="col">text</th>
          {nll && <th scope="col">{nllName()}</th>}
        </tr>
      </thead>
      <tbody>
        {items.map((item, i) => (
          <tr key={i}>
            <th scope="row"><Step i={i} go={go} /></th>
            <td>{"text" in item && item.text}</td>
            {nll && <td>{number(nll[i], 4)}</td>}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function FilmRow({ items, nll, go }: FilmProps): JSX.Element {
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

function FilmTable({ items, nll, go }: FilmProps): JSX.Element {
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
              <Step i={i} go={go} />
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
            <th scope="row">{nllName()}</th>
            {nll.map((value, i) => <td key={i}>{number(value, 4)}</td>)}
          </tr>
        )}
      </tbody>
    </table>
  );
}

/** How likely the items along the way are. */
export function Curve({ nll }: { nll: (number | null)[] }): JSX.Element | null {
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
        aria-label={`${nllName()} along the way: from ${number(nll[0], 4)} at A to ${number(nll.at(-1), 4)} at B, at most ${number(high, 4)}`}
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
    </figure>
  );
}
