"""Write docs/presets.md, the field's table of contents, from the presets' own docstrings and measured claims.

python tools/presets_page.py [--check]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from vaekit.presets import CHAPTERS, about

PAGE = Path(__file__).parents[1] / "docs" / "presets.md"
INTRODUCTION = """\
Every named variant of the field is a short composition of the same parts: a function of at most a dozen lines in
`src/vaekit/presets/`, one file for each chapter below. `vaekit train SOURCE --preset NAME` trains one; `vaekit presets
NAME` says the same as this page. `Distortion()` is −log p(x | z) and `Rate()` is KL(q(z | x) ‖ p(z)), both in nats per
datum.

| what for | preset |
|---|---|
| a first model, likelihood bounds, odd items | `vae` |
| likelier items, tighter bounds | `top_down_vae`, `mixture_prior_vae` |
| new items like the old ones | any, then `vaekit fit-prior RUN SOURCE`; given a label: `conditional_vae` |
| real values, smooth pictures | `sigma_vae`; with an error of your choice: `geco_vae` |
| a dimension for each factor | `beta_tc_vae` |
| discrete codes, tokens | `vq_vae`, `fsq_vae`, `rvq_vae` |
| lines of text, strong decoders | `free_bits_vae`, `bn_vae` |
| classes from a few labels | `semi_supervised_vae`, then `vaekit classify` |
| several parts, any of which may be missing | `mopoe` |
| codes alone, without a likelihood | `autoencoder`, `wae_mmd` |

Each was held against its own ablation on real data, three seeds: the figures are in `benchmarks/claims.md`. What did
not beat its ablation says so here.
"""
NOTE = "<!-- Written by tools/presets_page.py from the docstrings; edit those. -->"
HEAD = "# The presets\n\n" + NOTE + "\n\n" + re.sub(r"(?<=\S)\n(?=[^\s|])", " ", INTRODUCTION)


def page() -> str:
    """The whole page."""
    found = about()
    lines = [HEAD]
    for chapter, title in CHAPTERS.items():
        lines.append(f"## {title}\n")
        for entry in (entry for entry in found if entry["chapter"] == chapter):
            lines += [
                f"### {entry['name']}\n",
                f"{capital(entry['summary'])} {entry['advice']}\n",
                f"- source: {entry['source']}",
                f"- objective: `{entry['objective']}`",
                f"- options: `{entry['options']}`",
                f"- kinds: {entry['kinds']}",
            ]
            lines += [f"- **experimental**: {entry['experimental']}"] if entry["experimental"] else []
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def capital(text: str) -> str:
    """The sentence with a capital letter, unless it begins with a symbol."""
    return text[0].upper() + text[1:] if text[:2].isalpha() or text[1:2] == " " else text


if __name__ == "__main__":
    if "--check" in sys.argv:
        same = PAGE.read_text(encoding="utf-8") == page()
        sys.exit(0 if same else f"{PAGE} is old: python tools/presets_page.py")
    PAGE.write_text(page(), encoding="utf-8")
