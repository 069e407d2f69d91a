/** The selected points: how many, a table, a file. */

import type { JSX } from "preact";
import { colouring, kept } from "./colouring";
import { columnsOf, csv } from "./csv";
import { nearestCodes } from "./geometry";
import { coordinate, number } from "./numbers";
import { save } from "./save";
import { Thumbnail } from "./shown";
import { code, moveTo, pointCode, run, selection } from "./state";
import { select } from "./tools";

const ROWS = 50;
const NEAR = 50;

function fromLegend(): void {
  const scheme = colouring.value;
  const only = kept.value;
  if (!scheme || !only) return;
  const found: number[] = [];
  scheme.of.forEach((entry, i) => only.has(entry) && found.push(i));
  select(found);
}

export function SelectionView(): JSX.Element {
  const here = run.value!;
  const chosen = selection.value;
  return (
    <>
      <p>
        <b data-testid="selection-count">{number(chosen.length)}</b> of {number(here.facts.points.count)} points selected
        {!chosen.length && <span class="muted">: draw around some with Lasso or Box on the map, or press a button here</span>}
      </p>
      <div class="row">
        <button type="button" data-testid="select-near" onClick={() => select(nearestCodes(here.codes, code.value, NEAR).map(({ index }) => index))}>
          Select the {NEAR} nearest to here
        </button>
        <button type="button" data-testid="select-legend" disabled={!kept.value} onClick={fromLegend}>
          Select what the legend shows
        </button>
        <button type="button" data-testid="select-none" disabled={!chosen.length} onClick={() => select([])}>Clear</button>
        <button
          type="button" class="main" data-testid="selection-csv" disabled={!chosen.length}
          onClick={() => save("selected.csv", new Blob([csv(columnsOf(here), chosen)], { type: "text/csv" }))}
        >
          Save as CSV
        </button>
      </div>
      {chosen.length > 0 && <Table indices={chosen.slice(0, ROWS)} more={chosen.length - ROWS} />}
    </>
  );
}

function Table({ indices, more }: { indices: number[]; more: number }): JSX.Element {
  const here = run.value!;
  const columns = columnsOf(here).slice(1);
  const picture = here.facts.items?.form === "image";
  return (
    <>
      <div class="scroll" tabIndex={0} role="region" aria-label="Selected points">
        <table class="selected" data-testid="selection-table">
          <thead>
            <tr>
              <th scope="col">item</th>
              {picture && <th scope="col">picture</th>}
              {columns.map(({ name }) => <th scope="col" key={name}>{name}</th>)}
            </tr>
          </thead>
          <tbody>
            {indices.map((index) => (
              <tr key={index}>
                <th scope="row">
                  <button type="button" class="small" title="Go there" onClick={() => moveTo(pointCode(index))}>{index}</button>
                </th>
                {picture && <td><Thumbnail index={index} /></td>}
                {columns.map(({ name, text }) => <td key={name}>{readable(name, text(index))}</td>)}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {more > 0 && <p class="muted">and {number(more)} more, all of them in the CSV file</p>}
    </>
  );
}

function readable(name: string, text: string): string {
  if (text === "" || !Number.isFinite(Number(text))) return text;
  return /^z\d+$/.test(name) ? coordinate(Number(text)) : number(Number(text));
}
