/** One bar. `ours` draws it in the accent colour. */
export type Bar = { name: string; value: number; ours: boolean }

const width = 720
const left = 190
const barHeight = 26
const gap = 12
const top = 56

/** Horizontal bars, the shortest first, as an SVG that reads on a light and on a dark page. */
export function barChart(title: string, subtitle: string, unit: string, bars: readonly Bar[]): string {
  const sorted = bars.toSorted((a, b) => a.value - b.value)
  const longest = Math.max(...sorted.map(({ value }) => value))
  const height = top + sorted.length * (barHeight + gap) + 8
  const rows = sorted.map(({ name, value, ours }, index) => {
    const y = top + index * (barHeight + gap)
    const length = Math.max(2, (value / longest) * (width - left - 90))
    const middle = y + barHeight / 2 + 5
    return `  <text class="name" x="${left - 10}" y="${middle}" text-anchor="end">${escapeXml(name)}</text>
  <rect class="${ours ? 'ours' : 'other'}" x="${left}" y="${y}" width="${length.toFixed(1)}" height="${barHeight}" rx="3"/>
  <text class="value" x="${(left + length + 8).toFixed(1)}" y="${middle}">${value.toFixed(1)} ${unit}</text>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeXml(title)}">
  <style>
    text { font: 14px system-ui, sans-serif; fill: #1f2328; }
    .title { font-size: 17px; font-weight: 600; }
    .subtitle { font-size: 13px; fill: #59636e; }
    .ours { fill: #1a7f64; }
    .other { fill: #afb8c1; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
      .subtitle { fill: #9198a1; }
      .ours { fill: #3fb68b; }
      .other { fill: #57606a; }
    }
  </style>
  <text class="title" x="8" y="22">${escapeXml(title)}</text>
  <text class="subtitle" x="8" y="42">${escapeXml(subtitle)}</text>
${rows.join('\n')}
</svg>
`
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
