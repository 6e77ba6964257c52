"""How a report looks: light and dark, on a phone, on a screen and on paper."""

STYLE = """
:root { color-scheme: light dark;
  --page: #fbfbfa; --card: #ffffff; --text: #1d1f22; --soft: #575c63; --line: #dfe1e4;
  --accent: #1f5fbf; --tint: #7aa7f0; --warn: #9a3412; --warn-line: #d9662b; --look: #c99a1e;
  --c0: #1f5fbf; --c1: #a8410f; --c2: #19705a; --c3: #7a3fa8; }
@media (prefers-color-scheme: dark) { :root {
  --page: #15171a; --card: #1c1f23; --text: #e7e9ec; --soft: #a9afb8; --line: #343941;
  --accent: #8ab4f8; --tint: #3f6fc4; --warn: #ffb48a; --warn-line: #d9662b; --look: #c99a1e;
  --c0: #8ab4f8; --c1: #f2a379; --c2: #74cbb0; --c3: #cfa3f0; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  overflow-wrap: anywhere; }
header, main, footer { max-width: 74rem; margin: 0 auto; padding: 0 1.5rem; }
header { padding-top: 2.75rem; }
h1 { font-size: 2rem; line-height: 1.2; font-weight: 650; letter-spacing: -.015em; margin: 0; }
h2 { font-size: 1.35rem; line-height: 1.3; font-weight: 650; margin: 0 0 .5rem; }
h3 { font-size: 1.05rem; font-weight: 600; margin: 1.75rem 0 .4rem; }
p { margin: .4rem 0; max-width: 46rem; } a { color: var(--accent); }
code { font: .88em ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
section { margin: 3.25rem 0 0; scroll-margin-top: 1rem; }
.soft { color: var(--soft); } td.number { text-align: right; white-space: nowrap; }
table, .tile, .number { font-variant-numeric: tabular-nums; }
.skip { position: absolute; left: -99rem; } .skip:focus { left: 1rem; top: 1rem; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .35rem 1.25rem; padding: 0;
  margin: 1.25rem 0 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem;
  margin: 1.75rem 0 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: .85rem 1rem; display: flex; flex-direction: column-reverse;
  justify-content: flex-end; }
.tile dt { color: var(--soft); font-size: .875rem; line-height: 1.35; }
.tile dd { margin: 0; font-size: 1.75rem; line-height: 1.25; font-weight: 650; }
.findings { list-style: none; padding: 0; margin: 1rem 0; display: grid; gap: .75rem; }
.findings li { background: var(--card); border: 1px solid var(--line);
  border-left: .3rem solid var(--look); border-radius: .5rem; padding: .8rem 1.1rem; }
.findings li.serious { border-left-color: var(--warn-line); }
.findings h3 { margin: 0; } .findings .serious h3 span { color: var(--warn); }
.sound { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  padding: .8rem 1.1rem; }
.scroll { overflow-x: auto; max-width: 100%; margin: .9rem 0; }
table { border-collapse: collapse; min-width: 20rem; }
caption { text-align: left; color: var(--soft); padding-bottom: .4rem; }
th, td { padding: .38rem .9rem .38rem 0; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; overflow-wrap: normal; }
thead th { font-weight: 600; font-size: .875rem; color: var(--soft); vertical-align: bottom; }
tbody th { font-weight: 500; } th.number { text-align: right; }
.bar { display: block; position: relative; width: 11rem; height: .7rem; margin-top: .45rem;
  background: color-mix(in srgb, var(--tint) 22%, transparent); border-radius: .35rem; }
.bar i { position: absolute; inset: 0 auto 0 0; background: var(--accent); border-radius: .35rem; }
.bar b { position: absolute; top: -.2rem; bottom: -.2rem; width: 2px; background: var(--text); }
.heat td, .heat th { padding: .3rem .55rem; border: 1px solid var(--page); }
.heat td { text-align: right;
  background: color-mix(in srgb, var(--tint) calc(var(--v) * 62%), var(--card)); }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr));
  gap: 1.25rem 2.5rem; }
.chart { width: 100%; height: auto; font-size: 13px; } .chart text { fill: var(--soft); }
.chart .grid { stroke: var(--line); } .line { fill: none; stroke-width: 2.2; }
.line.c0 { stroke: var(--c0); } .line.c1 { stroke: var(--c1); stroke-dasharray: 7 4; }
.line.c2 { stroke: var(--c2); stroke-dasharray: 2 3; }
.line.c3 { stroke: var(--c3); stroke-dasharray: 10 3 2 3; }
.chart .name.c0, .dot.c0 { fill: var(--c0); } .chart .name.c1, .dot.c1 { fill: var(--c1); }
.chart .name.c2, .dot.c2 { fill: var(--c2); } .chart .name.c3, .dot.c3 { fill: var(--c3); }
.key { list-style: none; display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; padding: 0;
  margin: .8rem 0; }
.key i { display: inline-block; width: .95em; height: .95em; margin-right: .45em;
  border-radius: .2em; vertical-align: -.1em; box-shadow: 0 0 0 1px var(--soft);
  print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.panel { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: 1rem 1.1rem 1.1rem; margin: 1rem 0; break-inside: avoid; }
.panel h4 { margin: 0; font-size: 1rem; font-weight: 600; }
.panel p { margin: .1rem 0 .7rem; color: var(--soft); font-size: .925rem; max-width: none; }
.steps { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr));
  gap: .8rem; }
figure { margin: 0; } figcaption { color: var(--soft); font-size: .875rem; margin-top: .2rem; }
.steps img { display: block; max-width: 100%; width: auto; height: auto; max-height: 20rem;
  border-radius: .3rem; }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.5rem;
  margin: .8rem 0; }
.facts dt { color: var(--soft); } .facts dd { margin: 0; }
summary { cursor: pointer; color: var(--accent); padding: .3rem 0; }
footer { padding: 3rem 1.5rem; color: var(--soft); font-size: .9rem; }
@media (max-width: 40rem) {
  header, main, footer { padding-left: 1rem; padding-right: 1rem; }
  header { padding-top: 1.5rem; } h1 { font-size: 1.6rem; }
  .steps { grid-template-columns: 1fr 1fr; } .bar { width: 6rem; }
  .facts { grid-template-columns: 1fr; gap: 0; } .facts dd { margin-bottom: .5rem; } }
@media print {
  :root { --page: #fff; --card: #fff; --text: #000; --soft: #444; --line: #bbb; --accent: #1f5fbf;
    --tint: #7aa7f0; --warn: #9a3412; --c0: #1f5fbf; --c1: #a8410f; --c2: #19705a;
    --c3: #7a3fa8; }
  body { font-size: 10.5pt; } nav, .skip { display: none; } section { margin-top: 1.6rem; }
  .heat td, .bar, .bar i, .bar b { print-color-adjust: exact;
    -webkit-print-color-adjust: exact; }
  .scroll { overflow: visible; } .findings li, tr, .chart { break-inside: avoid; }
  h2, h3 { break-after: avoid; } .steps { grid-template-columns: repeat(6, 1fr); } }
"""
