/** How odd an item is beside held-out ones: p = (1 + #{held out ≥ score}) / (1 + n), the scores sorted ascending. */

export function pValue(heldout: ArrayLike<number>, score: number): number {
  let low = 0;
  let high = heldout.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (heldout[middle] < score) low = middle + 1;
    else high = middle;
  }
  return (1 + heldout.length - low) / (1 + heldout.length);
}
