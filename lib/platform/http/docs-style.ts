import { hash } from 'node:crypto'

/** Of the documentation page, which loads nothing: its policy below allows these very bytes alone. */
export const docsStyle = `
:root{color-scheme:light dark;--line:light-dark(#d8dce2,#3a404a);--soft:light-dark(#f5f6f8,#1d2127);--faint:light-dark(#5a6472,#9aa5b4);--link:light-dark(#0b57b7,#7db4ff)}
body{margin:0 auto;max-width:62rem;padding:1.5rem;font:16px/1.5 system-ui,sans-serif;color:light-dark(#1a1e24,#e6e9ee);background:light-dark(#fff,#14171b)}
a{color:var(--link)}h1{margin:0}h2{margin:2.5rem 0 .5rem;border-bottom:1px solid var(--line)}h3{margin:1rem 0 .3rem;font-size:1rem}
code,.path{font:14px/1.5 ui-monospace,monospace}
details{margin:.4rem 0;border:1px solid var(--line);border-radius:6px}
summary{padding:.5rem .8rem;cursor:pointer;background:var(--soft);border-radius:6px}
details>div{padding:.3rem .8rem .8rem}
.method{display:inline-block;min-width:4.2rem;font:bold 13px ui-monospace,monospace}
.get{color:light-dark(#0b57b7,#7db4ff)}.post{color:light-dark(#14702f,#6fd08c)}.delete{color:light-dark(#b3261e,#ff8f86)}.put,.patch{color:light-dark(#8a5300,#f0b65a)}
.who,.type,em{color:var(--faint)}.who{float:right;font-size:14px}
table{width:100%;border-collapse:collapse}th,td{padding:.3rem .6rem .3rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
ul.fields{margin:.2rem 0;padding-left:1.2rem;border-left:2px solid var(--line);list-style:none}
pre{margin:.3rem 0;padding:.6rem;overflow-x:auto;background:var(--soft);border-radius:6px}
@media(max-width:40rem){.who{float:none;display:block}}
`

/** The Content-Security-Policy of the page: no script, nothing from anywhere, only its own style. */
export const docsPolicy = [
  "default-src 'none'",
  `style-src 'sha256-${hash('sha256', docsStyle, 'base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')
