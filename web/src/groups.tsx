/** Arithmetic: where one is + strength × (mean of a group − mean of another), decoded. */

import { effect, signal } from "@preact/signals";
import type { JSX } from "preact";
import { Beside } from "./beside";
import type { Shown } from "./facts";
import { combine, meanCode } from "./geometry";
import { latest } from "./latest";
import { number } from "./numbers";
import { attempt, code, condition, groups, moveTo, run, said, selection, source } from "./state";

const plus = signal(-1);
const minus = signal(-1);
const strength = signal(1);
const result = signal<{ code: number[]; before: Shown; shown: Shown } | null>(null);

const ask = latest(async ({ from, to }: { from: number[]; to: number[] }) => {
  const answer = await attempt("groups", () => source.value!.decode([from, to], condition.value));
  if (answer) result.value = { code: to, before: answer[0], shown: answer[1] };
});

effect(() => {
  const here = run.value;
  if (!here || (plus.value < 0 && minus.value < 0)) return void (result.value = null);
  const mean = (at: number): number[] | null =>
    groups.value[at] ? meanCode(here.codes, groups.value[at].members, here.facts.latent) : null;
  void condition.value;
  ask({ from: code.value, to: combine(code.value, mean(plus.value), mean(minus.value), strength.value) });
});

function keep(name: string): void {
  const given = name.trim() || `Group ${groups.value.length + 1}`;
  groups.value = [...groups.value, { name: given, members: selection.value }];
  if (plus.value < 0) plus.value = groups.value.length - 1;
  else if (minus.value < 0) minus.value = groups.value.length - 1;
  said.value = `${given}: ${selection.value.length} items`;
}

function remove(at: number): void {
  groups.value = groups.value.filter((_, i) => i !== at);
  for (const side of [plus, minus]) side.value = side.value === at ? -1 : side.value > at ? side.value - 1 : side.value;
}

export function GroupsView(): JSX.Element {
  const count = selection.value.length;
  return (
    <>
      <p class="muted">
        Select points (with Lasso or Box, or under “Selected”) and keep them as a group. The difference between the means of
        two groups is a direction: add it to where you are, and see what changes.
      </p>
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          const name = event.currentTarget.elements.namedItem("name") as HTMLInputElement;
          keep(name.value);
          name.value = "";
        }}
      >
        <label class="field">
          <span>Name</span>
          <input type="text" name="name" maxLength={60} data-testid="group-name" placeholder={`Group ${groups.value.length + 1}`} />
        </label>
        <button type="submit" data-testid="group-keep" disabled={!count}>
          {count ? `Keep ${count} selected as a group` : "Select points first"}
        </button>
      </form>
      <ul class="chips" aria-label="Groups">
        {groups.value.map((group, at) => (
          <li key={at} class="chip" draggable onDragStart={(event) => event.dataTransfer?.setData("text/plain", `group ${at}`)}>
            <button type="button" class="chip-name" data-testid={`group-${at}`} title="Select these points again" onClick={() => (selection.value = group.members)}>
              {group.name} <span class="muted">{number(group.members.length)}</span>
            </button>
            <button type="button" class="chip-end" aria-label={`Remove ${group.name}`} data-testid={`group-remove-${at}`} onClick={() => remove(at)}>
              ×
            </button>
          </li>
        ))}
      </ul>
      {groups.value.length > 0 && <Formula />}
    </>
  );
}

function Term({ side, name, id }: { side: typeof plus; name: string; id: string }): JSX.Element {
  const drop = (event: DragEvent): void => {
    event.preventDefault();
    const at = /^group (\d+)$/.exec(event.dataTransfer?.getData("text/plain") ?? "");
    if (at) side.value = Number(at[1]);
  };
  return (
    <label class="field term" onDragOver={(event) => event.preventDefault()} onDrop={drop}>
      <span>{name}</span>
      <select data-testid={id} value={side.value} onChange={(event) => (side.value = Number(event.currentTarget.value))}>
        <option value={-1}>here</option>
        {groups.value.map((group, at) => <option key={at} value={at}>{group.name}</option>)}
      </select>
    </label>
  );
}

function Formula(): JSX.Element {
  return (
    <>
      <div class="row formula">
        <span>where you are +</span>
        <label class="field">
          <input
            type="range" min="-3" max="3" step="0.05" data-testid="strength" aria-label="Strength" value={strength.value}
            onInput={(event) => (strength.value = event.currentTarget.valueAsNumber)}
          />
          <output>{number(strength.value, 2)}</output>
        </label>
        <span>×</span>
      </div>
      <div class="row formula">
        <span>(</span>
        <Term side={plus} name="mean of" id="plus" />
        <span>−</span>
        <Term side={minus} name="mean of" id="minus" />
        <span>)</span>
      </div>
      {result.value && (
        <div data-testid="arithmetic">
          <Beside
            small
            sides={[
              { name: "where you are", shown: result.value.before, testid: "arithmetic-this" },
              { name: "plus the difference", shown: result.value.shown, testid: "arithmetic-item" },
            ]}
          />
          <button type="button" data-testid="arithmetic-go" onClick={() => moveTo(result.value!.code)}>Go there</button>
        </div>
      )}
    </>
  );
}
