"""How the pages look."""

STYLE = """
:root { color-scheme: light dark; --line: #8886; --accent: #0a5c8a; }
@media (prefers-color-scheme: dark) { :root { --accent: #7cc4ef; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 80rem;
  padding: 0 1rem 3rem; }
.warning { background: #ffe08a; color: #332600; margin: 0 -1rem; padding: .4rem 1rem; }
.error { border: 2px solid #c22; padding: .4rem 1rem; white-space: pre-line; }
.done { border-left: 4px solid #2a7; padding: .2rem 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; }
a { color: var(--accent); }
a:focus-visible, button:focus-visible, input:focus-visible, select:focus-visible,
textarea:focus-visible, summary:focus-visible, [tabindex]:focus-visible {
  outline: 3px solid var(--accent); outline-offset: 2px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { border: 1px solid var(--line); padding: .2rem .5rem; text-align: left; vertical-align: top;
  max-width: 22rem; overflow-wrap: break-word; }
thead th { font-weight: 600; font-size: .85rem; white-space: nowrap; }
td, tbody th { white-space: pre-line; }
td > ul { margin: 0; }
nav ul, .steps { list-style: none; display: flex; flex-wrap: wrap; gap: .4rem 1rem; padding: 0; }
[aria-current] { font-weight: 700; text-decoration: none; }
.field { margin: .8rem 0; } .field > label, legend { display: block; font-weight: 600; }
small { display: block; opacity: .8; font-weight: 400; }
fieldset { border: 1px solid var(--line); margin: .8rem 0; } fieldset label { display: block; }
input[type=text], textarea, select { font: inherit; padding: .25rem .4rem; width: 100%;
  max-width: 36rem; }
[role=search] input { width: 14rem !important; margin-right: .4rem; }
button { font: inherit; padding: .35rem .9rem; cursor: pointer; }
.danger { border: 1px solid #c22; color: #c22; background: none; }
code { font-size: .95em; }
"""
