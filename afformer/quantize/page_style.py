"""How the report's page looks, in light and in dark."""

STYLE = """
:root { --ink: #1c2430; --soft: #5b6675; --line: #dde3ea; --paper: #ffffff; --ground: #f4f6f9; --blue: #2f6fde;
  --pink: #ff00a0; --good: #137a4b; --good-bg: #e3f5ec; --warn: #8a5a00; --warn-bg: #fff3d6; --bad: #b3261e;
  --bad-bg: #fde8e6; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa6b5; --line: #2c3542; --paper: #171d26;
  --ground: #0f141b; --blue: #6fa3ff; --good: #6fd8a5; --good-bg: #12301f; --warn: #ffcf70; --warn-bg: #35290c;
  --bad: #ff9a92; --bad-bg: #3b1513; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 20px 64px; }
header p, section > p, small, figcaption { color: var(--soft); }
h1 { font-size: 26px; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 0 0 6px; }
h3 { font-size: 15px; margin: 18px 0 6px; }
p { margin: 4px 0 12px; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 12px; padding: 20px 24px;
  margin-top: 18px; }
.verdict { border-width: 0 0 0 6px; }
.verdict h2 { font-size: 23px; }
.verdict ul { margin: 6px 0 0; padding-left: 20px; }
.good { background: var(--good-bg); border-color: var(--good); } .good h2 { color: var(--good); }
.warn { background: var(--warn-bg); border-color: var(--warn); } .warn h2 { color: var(--warn); }
.bad { background: var(--bad-bg); border-color: var(--bad); } .bad h2 { color: var(--bad); }
.advice { color: var(--soft); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 14px; padding: 0;
  background: none; border: 0; }
.tiles div { background: var(--paper); border: 1px solid var(--line); border-radius: 12px; padding: 16px 18px;
  display: flex; flex-direction: column; }
.tiles h3 { margin: 0; color: var(--soft); font-weight: 500; }
.tiles strong { font-size: 30px; line-height: 1.3; font-variant-numeric: tabular-nums; }
.tiles em { font: 15px system-ui, sans-serif; color: var(--soft); }
.tiles small { margin-top: 4px; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 500; color: var(--soft); border-bottom: 1px solid var(--line);
  padding: 4px 14px 6px 0; }
td { padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tbody tr:last-child td { border-bottom: 0; }
code { font: 13px ui-monospace, monospace; overflow-wrap: anywhere; }
.worse { color: var(--bad); } .better { color: var(--good); }
.bar { display: inline-block; width: 160px; height: 9px; background: var(--line); border-radius: 5px;
  overflow: hidden; }
.bar i { display: block; height: 100%; background: var(--blue); }
details summary { cursor: pointer; color: var(--soft); }
.pictures { display: grid; grid-template-columns: repeat(3, 1fr); gap: 10px; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 20px; }
figure { margin: 0; } figure img { width: 100%; border-radius: 8px; display: block; }
figcaption { font-size: 13px; margin-top: 4px; }
svg { width: 100%; display: block; }
svg .in { fill: var(--blue); } svg .out { fill: var(--pink); } svg .axis { stroke: var(--line); }
svg .bound { stroke: var(--ink); stroke-dasharray: 3 3; } svg text { fill: var(--soft); font-size: 11px; }
@media (max-width: 640px) { .pictures { grid-template-columns: 1fr; } section { padding: 16px; } }
@media print { body { background: none; } section { break-inside: avoid; } }
"""
