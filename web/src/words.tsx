/** The words and the keys of the page, for somebody who sees it for the first time. */

import type { JSX } from "preact";

const WORDS: [string, string][] = [
  ["latent space, code", "The encoder turns an item into a code: a few numbers, one for each latent dimension. The decoder turns any code into an item. The latent space is where all codes lie."],
  ["dimension in use", "One that changes from item to item. The others say nothing, and moving them changes nothing."],
  ["KL (rate)", "How much a code says about its item, in nats (1 nat is 1.44 bits); beside a slider, how much that dimension says."],
  ["distortion", "How far the decoded item is from the true one, in nats. Lower is better."],
  ["ELBO", "−(distortion + KL). Higher is better: the model finds the item more likely."],
  ["−log p(x)", "How unlikely the model finds an item. Lower is more likely."],
  ["prior", "Where the model expects codes before it has seen an item."],
  ["off the data", "The hatched part of the map: fewer than one item in a hundred lies there, so what is decoded there is the model’s guess."],
  ["p-value", "The share of held-out items that are at least as unusual as yours: 0.01 means one in a hundred."],
  ["temperature", "How far random places lie from the middle: at 1 as far as the data, at 0 all in the middle."],
];

const KEYS: [string, string][] = [
  ["arrows", "point somewhere else (with Shift, in larger steps)"],
  ["Enter", "go there; set an end of a path, or a corner of a lasso or box"],
  ["Space", "close the lasso"],
  ["A, B", "set the ends of a path"],
  ["+, −, 0", "closer, farther, the whole map"],
  ["Escape", "let go: of the lasso, of the place, of the selection"],
];

export function Words(): JSX.Element {
  return (
    <>
      <dl class="words">{WORDS.map(([word, meaning]) => <Line key={word} word={word} meaning={meaning} />)}</dl>
      <h3>Keys on the map</h3>
      <dl class="words">{KEYS.map(([word, meaning]) => <Line key={word} word={word} meaning={meaning} />)}</dl>
    </>
  );
}

function Line({ word, meaning }: { word: string; meaning: string }): JSX.Element {
  return (
    <div>
      <dt>{word}</dt>
      <dd>{meaning}</dd>
    </div>
  );
}
