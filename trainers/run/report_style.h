// The style sheet of report.html.
#pragma once

namespace tenon::run {

// Series colours are the Okabe-Ito set (distinct with every common colour blindness), lightened for
// the dark page; each series also has its own dash.
inline constexpr const char* kReportStyle = R"css(
:root { color-scheme: light dark; --page: #f7f7f5; --card: #ffffff; --ink: #1c1e21; --soft: #5d636b;
  --rule: #e2e3e0; --axis: #a9aeb4; --good: #0a7d4f; --warn: #9a5b00; --bad: #b3261e;
  --s0: #0069a8; --s1: #c44e00; --s2: #00805d; --s3: #a8528a; --s4: #7a6a00; --s5: #3f4650; }
@media (prefers-color-scheme: dark) { :root { --page: #15171a; --card: #1e2125; --ink: #e9eaec;
  --soft: #a0a7b0; --rule: #31353b; --axis: #5b626b; --good: #4fc38f; --warn: #e0a84a; --bad: #ff8a80;
  --s0: #5fb2ee; --s1: #ff9a5a; --s2: #3fcfa0; --s3: #e39bc8; --s4: #dccb4a; --s5: #c3cad3; } }
@media print { :root { color-scheme: light; --page: #fff; --card: #fff; --ink: #000; --soft: #444;
  --rule: #ddd; --axis: #888; --good: #0a7d4f; --warn: #9a5b00; --bad: #b3261e; --s0: #0069a8;
  --s1: #c44e00; --s2: #00805d; --s3: #a8528a; --s4: #7a6a00; --s5: #3f4650; }
  section { break-inside: avoid; } details > * { display: block; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 22px; line-height: 1.25; margin: 0 0 6px; overflow-wrap: anywhere; }
h2 { font-size: 17px; margin: 34px 0 12px; }
h3 { font-size: 14px; margin: 0 0 6px; font-weight: 600; }
h3 small { font-weight: 400; color: var(--soft); }
.verdict { margin: 0 0 18px; font-size: 16px; }
.state { font-weight: 650; }
.done .state { color: var(--good); } .running .state { color: var(--s0); }
.stopped .state { color: var(--warn); } .failed .state { color: var(--bad); }
.tiles { display: flex; flex-wrap: wrap; gap: 10px; margin: 0; }
.tiles div { background: var(--card); border: 1px solid var(--rule); border-radius: 8px;
  padding: 8px 14px; min-width: 116px; }
.tiles dt { color: var(--soft); font-size: 12px; } .tiles dd { margin: 0; font-size: 18px;
  font-variant-numeric: tabular-nums; }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 8px;
  padding: 14px 16px; margin: 0 0 14px; }
.curve { display: grid; grid-template-columns: minmax(0, 1fr) 190px; gap: 4px 20px; }
.curve h3 { grid-column: 1 / -1; }
.curve > div { overflow-x: auto; }
@media (max-width: 720px) { .curve { grid-template-columns: minmax(0, 1fr); } }
svg { display: block; width: 100%; height: auto; }
.grid { stroke: var(--rule); fill: none; } .axis { stroke: var(--axis); fill: none; }
.tick { fill: var(--soft); font-size: 12px; paint-order: stroke; stroke: var(--card); stroke-width: 3px;
  stroke-linejoin: round; font-variant-numeric: tabular-nums; }
.restart { stroke: var(--soft); stroke-dasharray: 2 4; fill: none; }
.reference { stroke: var(--soft); stroke-dasharray: 8 4; fill: none; }
.bad { fill: var(--bad); }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.faint { stroke-width: 1; opacity: .35; stroke-dasharray: none !important; }
.s0 { stroke: var(--s0); } .s1 { stroke: var(--s1); stroke-dasharray: 7 4; }
.s2 { stroke: var(--s2); stroke-dasharray: 2 4; } .s3 { stroke: var(--s3); stroke-dasharray: 10 3 2 3; }
.s4 { stroke: var(--s4); stroke-dasharray: 14 4; } .s5 { stroke: var(--s5); stroke-dasharray: 4 2; }
.dot { stroke: var(--card); stroke-width: 2; stroke-dasharray: none; }
.dot.s0, .f0 { fill: var(--s0); } .dot.s1, .f1 { fill: var(--s1); } .dot.s2, .f2 { fill: var(--s2); }
.dot.s3, .f3 { fill: var(--s3); } .dot.s4, .f4 { fill: var(--s4); } .dot.s5, .f5 { fill: var(--s5); }
.f6 { fill: var(--axis); }
.key { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 0 0 10px; padding: 0; list-style: none; }
.key svg { display: inline-block; width: 28px; height: 10px; margin-right: 6px; vertical-align: middle; }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--soft); font-weight: 500; }
th, td { padding: 3px 10px 3px 0; border-bottom: 1px solid var(--rule); vertical-align: top;
  overflow-wrap: anywhere; }
td.n, th.n { text-align: right; padding-right: 0; padding-left: 10px; overflow-wrap: normal; }
.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: 14px; }
figure { margin: 0; } figure img { width: 100%; image-rendering: pixelated; display: block;
  border: 1px solid var(--rule); } figcaption { font-size: 12px; color: var(--soft); }
.latest { max-width: 560px; margin-bottom: 18px; }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; font: 13px/1.5 ui-monospace,
  "DejaVu Sans Mono", monospace; }
summary { cursor: pointer; color: var(--soft); }
.none { color: var(--soft); margin: 0; }
)css";

}  // namespace tenon::run
