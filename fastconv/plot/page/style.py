"""The style of the page: light and dark, narrow and wide, on paper."""

__all__ = ["STYLE"]

# Colours of the parts stand out from the page by 3:1 at least, text by 4.5:1; both in both schemes.
STYLE = """
:root {
  color-scheme: light dark;
  --page: #ffffff; --panel: #f3f5f7; --text: #1b1f24; --faint: #57606a; --line: #c9d0d8;
  --strong: #0b5cad; --mark: #fff3cd;
  --packed: #6b7280; --activations: #0072b2; --saved: #00805a; --gradients: #a3488d;
  --workspace: #b95a00; --im2col: #c0392b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171c; --panel: #1e232b; --text: #e8ebef; --faint: #a4adb8; --line: #3c4550;
    --strong: #7cc0ff; --mark: #4a3f12;
    --packed: #9aa3af; --activations: #4fa8e0; --saved: #2fb890; --gradients: #d98cc0;
    --workspace: #e69f00; --im2col: #ff8a75;
  }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 7.5rem; }
body {
  margin: 0 auto; padding: 1rem; max-width: 76rem; background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, "Segoe UI", "Liberation Sans", Arial, sans-serif;
}
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .4rem; }
p { margin: .4rem 0; max-width: 65rem; }
figure { margin: .8rem 0 0; }
figcaption, .note, small { color: var(--faint); font-size: .875rem; }
bdi { unicode-bidi: isolate; overflow-wrap: anywhere; }
#subject { color: var(--faint); }
:focus-visible { outline: 3px solid var(--strong); outline-offset: 2px; }

#limit-title { margin-top: 1rem; }
#control {
  display: grid; grid-template-columns: 1fr auto; gap: 0 1rem; align-items: baseline;
  background: var(--panel); border: 1px solid var(--line); border-radius: .5rem;
  padding: .6rem .9rem;
}
@media (min-height: 30rem) { #control { position: sticky; top: 0; z-index: 1; } }
#chosen { font-weight: 700; font-size: 1.15rem; font-variant-numeric: tabular-nums; }
#limit {
  grid-column: 1 / -1; width: 100%; height: 1.6rem; margin: .3rem 0 0; accent-color: var(--strong);
}
#ends {
  grid-column: 1 / -1; display: flex; justify-content: space-between; margin-top: .3rem;
  color: var(--faint); font-size: .8rem;
}
#summary { font-size: 1.05rem; min-height: 3em; }
#figures {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .5rem;
  margin: .5rem 0;
}
#figures div { background: var(--panel); border-radius: .5rem; padding: .5rem .7rem; }
dt { color: var(--faint); font-size: .8rem; }
dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
dd small { font-weight: 400; display: block; }

.chart { position: relative; height: 15rem; border-bottom: 1px solid var(--line); }
.chart.low { height: 5rem; }
.chart svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: hidden; }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: .6rem 0; }
a { color: var(--strong); }
.chart span {
  position: absolute; font-size: .75rem; line-height: 1.2; padding: 0 .2rem;
  background: var(--page); border-radius: .2rem; white-space: nowrap;
}
.free { stroke: var(--faint); stroke-width: 1; fill: none; vector-effect: non-scaling-stroke; }
.loss { stroke: var(--text); stroke-width: 1; vector-effect: non-scaling-stroke; }
.curve { stroke: var(--strong); stroke-width: 2; fill: none; vector-effect: non-scaling-stroke; }
.bound {
  stroke: var(--text); stroke-width: 1.5; stroke-dasharray: 6 4; vector-effect: non-scaling-stroke;
}
.dot {
  position: absolute; width: .8rem; height: .8rem; margin: -.4rem; border-radius: 50%;
  background: var(--strong); border: 2px solid var(--page);
}
.fill-packed { fill: var(--packed); } .fill-activations { fill: var(--activations); }
.fill-saved { fill: var(--saved); } .fill-gradients { fill: var(--gradients); }
.fill-workspace { fill: var(--workspace); }
.packed { background: var(--packed); } .activations { background: var(--activations); }
.saved { background: var(--saved); } .gradients { background: var(--gradients); }
.workspace { background: var(--workspace); }
.again-band { fill: var(--text); opacity: .16; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: .5rem 0; padding: 0; }
.legend li { list-style: none; font-size: .875rem; }
.legend i {
  display: inline-block; width: .9rem; height: .9rem; margin-right: .4rem; vertical-align: -.1rem;
}

table { width: 100%; border-collapse: collapse; font-size: .875rem; }
th, td {
  padding: .3rem .5rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line);
}
thead th { color: var(--faint); font-weight: 600; }
tbody th { font-weight: 600; max-width: 20rem; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
th small { font-weight: 400; margin-left: .4rem; }
td small { display: block; font-size: .8rem; }
td.runs small { display: inline; }
.alive { width: 36%; }
.amount { display: grid; grid-template-columns: 5.5rem 1fr; }
.training .amount { grid-template-columns: 9.5rem 1fr; }
.bar { display: flex; height: .9rem; margin-top: .2rem; background: var(--panel); }
.bar > span { flex: none; }
.bar.thin { height: .5rem; }
.bar .one { background: var(--activations); } .bar .unfolded { background: var(--im2col); }
.tag {
  display: inline-block; margin: 0 .3rem .1rem 0; padding: 0 .35rem; border-radius: .3rem;
  border: 1px solid var(--faint); font-size: .75rem; white-space: nowrap;
}
tr.peak, td.taken, tr.here { background: var(--mark); }
td.taken b::after { content: " \\2713"; content: " \\2713" / " taken"; }
td b { font-weight: 600; font-variant-numeric: tabular-nums; white-space: nowrap; }

@media (max-width: 46rem) {
  table.cards, .cards tbody, .cards tr, .cards th, .cards td { display: block; }
  .cards thead, .cards td:empty {
    position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
    white-space: nowrap; padding: 0;
  }
  .cards tr {
    display: flex; flex-wrap: wrap; gap: 0 .7rem; padding: .3rem;
    border-bottom: 1px solid var(--line);
  }
  .cards th, .cards td { border: 0; padding: .05rem .1rem; min-width: 0; width: auto; }
  .cards tbody th { flex: 1 1 100%; max-width: none; }
  .cards td.wide { flex: 1 1 100%; }
  .cards td.half { flex: 0 0 calc(50% - .35rem); }
  .cards td.alive { display: flex; gap: .3rem; }
  .amount { flex: 1; }
  .cards .number { text-align: left; white-space: normal; }
  .cards td[data-name]::before { content: attr(data-name) " "; color: var(--faint); }
  .chart { height: 12rem; }
}

@media print {
  :root {
    color-scheme: light;
    --page: #ffffff; --panel: #f3f5f7; --text: #000000; --faint: #444444; --line: #bbbbbb;
    --strong: #0b5cad; --mark: #fff3cd;
    --packed: #6b7280; --activations: #0072b2; --saved: #00805a; --gradients: #a3488d;
    --workspace: #b95a00; --im2col: #c0392b;
  }
  body { max-width: none; padding: 0; font-size: 10pt; print-color-adjust: exact; }
  #control { position: static; }
  #limit, #ends, #hint, nav, label:has(#scale) { display: none; }
  tr, figure, dl div { break-inside: avoid; }
  h2 { break-after: avoid; }
}
@media (forced-colors: active) {
  .bar, .bar > span, .legend i, .dot, .chart svg { forced-color-adjust: none; }
}
"""
