/** Forms in which one hands in an item of one's own: a picture or a drawing, a row, a text, or several parts. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import type { Column, Given, Reading, Shown } from "./facts";
import { Pad } from "./pad";
import { fromFile } from "./picture";
import { cellsOf } from "./row";
import { attempt } from "./state";

interface Form<Of extends Reading = Reading> {
  reading: Of;
  /** What the form begins with. */
  example: Shown | null;
  onGiven: (given: Given | null) => void;
}

export function GivenForm({ reading, example, onGiven }: Form): JSX.Element {
  if (reading.form === "image") return <PictureForm reading={reading} example={null} onGiven={onGiven} />;
  if (reading.form === "cells") return <RowForm reading={reading} example={example} onGiven={onGiven} />;
  if (reading.form === "parts") return <PartsForm reading={reading} example={example} onGiven={onGiven} />;
  return <TextForm reading={reading} example={example} onGiven={onGiven} />;
}

function PictureForm({ reading, onGiven }: Form<Reading & { form: "image" }>): JSX.Element {
  const over = useSignal(false);
  const take = async (file: Blob | null | undefined): Promise<void> => {
    if (!file) return;
    const given = await attempt("own", () => fromFile(file, reading.shape));
    if (given) onGiven(given);
  };
  return (
    <div class="picture-form">
      <label
        class={`drop ${over.value ? "over" : ""}`}
        data-testid="drop"
        onDragOver={(event) => {
          event.preventDefault();
          over.value = true;
        }}
        onDragLeave={() => (over.value = false)}
        onDrop={(event) => {
          event.preventDefault();
          over.value = false;
          void take(event.dataTransfer?.files[0]);
        }}
      >
        <span>Drop a picture here or choose one. Its middle is taken and scaled to {reading.shape[1]} × {reading.shape[0]} pixels.</span>
        <input type="file" accept="image/*" data-testid="file" onChange={(event) => take(event.currentTarget.files?.[0])} />
      </label>
      <Pad shape={reading.shape} onGiven={onGiven} />
    </div>
  );
}

function RowForm({ reading, example, onGiven }: Form<Reading & { form: "cells" }>): JSX.Element {
  const blank = reading.columns.map(() => "");
  const cells = useSignal<string[]>(example && "cells" in example ? example.cells : blank);
  const set = (next: string[]): void => {
    cells.value = reading.columns.map((_, i) => next[i] ?? "");
    onGiven({ cells: cells.value });
  };
  useEffect(() => onGiven({ cells: cells.value }), []);
  return (
    <div>
      <label class="field paste">
        <span>Paste a row</span>
        <input type="text" data-testid="row-paste" placeholder={reading.columns.map(({ name }) => name).join(", ")} onInput={(event) => set(cellsOf(event.currentTarget.value))} />
      </label>
      <div class="row">
        <button type="button" data-testid="row-nearest" disabled={!example} onClick={() => example && "cells" in example && set(example.cells)}>
          Fill from the nearest item
        </button>
        <button type="button" data-testid="row-empty" onClick={() => set(blank)}>Empty all</button>
      </div>
      <div class="cells-form">
        {reading.columns.map((column, i) => (
          <label key={i} class="cell-field">
            <span>{column.name}</span>
            <Cell column={column} at={i} value={cells.value[i]} onCell={(text) => set(cells.value.with(i, text))} />
          </label>
        ))}
      </div>
      <p class="muted">Leave a cell empty where the value is missing.</p>
    </div>
  );
}

function Cell({ column, at, value, onCell }: { column: Column; at: number; value: string; onCell: (text: string) => void }): JSX.Element {
  const id = `cell-${at}`;
  if (column.kind === "category" && column.names)
    return (
      <select data-testid={id} value={value} onChange={(event) => onCell(event.currentTarget.value)}>
        <option value="">missing</option>
        {column.names.map((name) => <option key={name} value={name}>{name}</option>)}
      </select>
    );
  if (column.kind === "given")
    return (
      <select data-testid={id} value={value} onChange={(event) => onCell(event.currentTarget.value)}>
        {[...new Set(column.texts)].map((text) => <option key={text} value={text}>{text}</option>)}
      </select>
    );
  if (column.kind === "empty") return <input type="text" data-testid={id} value="" disabled />;
  return <input type="text" inputMode={column.kind === "number" && !column.date ? "decimal" : "text"} data-testid={id} value={value} onInput={(event) => onCell(event.currentTarget.value)} />;
}

function TextForm({ example, onGiven }: Form): JSX.Element {
  const begin = example && "text" in example ? example.text : "";
  useEffect(() => onGiven({ text: begin }), []);
  return (
    <label class="text-form">
      <span class="muted">Your text</span>
      <textarea rows={3} data-testid="text" defaultValue={begin} onInput={(event) => onGiven({ text: event.currentTarget.value })} />
    </label>
  );
}

function PartsForm({ reading, example, onGiven }: Form<Reading & { form: "parts" }>): JSX.Element {
  const parts = useSignal<Record<string, Given>>({});
  const take = (name: string, given: Given | null): void => {
    if (!given) return;
    parts.value = { ...parts.value, [name]: given };
    const all = reading.parts.filter((part) => parts.value[part.name]);
    onGiven({ parts: all.map((part) => ({ name: part.name, given: parts.value[part.name] })) });
  };
  const of = (name: string): Shown | null =>
    example && "parts" in example ? (example.parts.find((part) => part.name === name)?.shown ?? null) : null;
  return (
    <>
      {reading.parts.map((part) => (
        <fieldset key={part.name}>
          <legend>{part.name}</legend>
          <GivenForm reading={part.reading} example={of(part.name)} onGiven={(given) => take(part.name, given)} />
        </fieldset>
      ))}
    </>
  );
}
