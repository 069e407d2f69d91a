/** A field for the number of an item. */

import type { JSX } from "preact";

interface ItemNumberProps {
  name: string;
  count: number;
  testid: string;
  onItem: (index: number) => void;
}

export function ItemNumber({ name, count, testid, onItem }: ItemNumberProps): JSX.Element {
  return (
    <label class="field">
      <span>{name}</span>
      <input
        type="number" min="0" max={count - 1} placeholder={`0 to ${count - 1}`} data-testid={testid}
        onChange={(event) => {
          const index = event.currentTarget.valueAsNumber;
          if (Number.isInteger(index) && index >= 0 && index < count) onItem(index);
        }}
      />
    </label>
  );
}
