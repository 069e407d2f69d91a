/** Two items side by side: pictures beside each other, rows as two columns of one table with what differs marked. */

import type { JSX } from "preact";
import type { Shown } from "./facts";
import { columnNames, Item, words } from "./shown";
import { run } from "./state";

export interface Side {
  name: string;
  shown: Shown | null;
  testid: string;
  ghost?: boolean;
}

export function Beside({ sides, small }: { sides: [Side, Side]; small?: boolean }): JSX.Element {
  const [left, right] = sides.map(({ shown }) => shown);
  if (left && "cells" in left && right && "cells" in right) return <Rows sides={sides} cells={[left.cells, right.cells]} />;
  return (
    <div class={`pair ${small ? "small-pair" : ""}`}>
      {sides.map(({ name, shown, testid, ghost }) => (
        <figure key={testid} data-testid={testid} class={ghost ? "ghost" : ""}>
          {shown ? <Item shown={shown} label={name} /> : <p class="muted">This item is not on the page.</p>}
          <figcaption>{name}</figcaption>
        </figure>
      ))}
    </div>
  );
}

function Rows({ sides, cells }: { sides: [Side, Side]; cells: [string[], string[]] }): JSX.Element {
  const columns = columnNames(run.value?.facts.reading);
  const [left, right] = cells;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={`${sides[0].name}, and ${sides[1].name}`}>
      <table class="cells" data-testid={sides[0].testid}>
        <thead>
          <tr>
            <th scope="col">column</th>
            {sides.map(({ name }) => <th scope="col" key={name}>{name}</th>)}
          </tr>
        </thead>
        <tbody>
          {left.map((cell, i) => (
            <tr key={i} class={cell === right[i] ? "" : "differs"}>
              <th scope="row">{columns[i] ?? i + 1}</th>
              <td title={cell}>{words(cell)}</td>
              <td title={right[i]}>{words(right[i])}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
