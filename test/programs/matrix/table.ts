import { describeCombination, type Result } from './combination.ts'

/** A table in Markdown, a row for each combination. */
export function renderTable(results: readonly Result[]): string {
  const rows = results.map((result) => [
    describeCombination(result.combination),
    `${result.node} / ${result.npm}`,
    result.runs ?? '-',
    seconds(result.installMs),
    seconds(result.readyMs),
    result.smoke ?? '-',
    result.engineWarnings === 0 ? 'none' : `${result.engineWarnings} EBADENGINE`,
    result.tests ?? '-',
  ])
  const head = [
    'Node / npm',
    'versions',
    'runs on',
    '`npm ci`',
    'first start',
    '`npm run smoke`',
    'warnings',
    '`npm test`',
  ]
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function seconds(ms: number | undefined): string {
  return ms === undefined ? '-' : `${(ms / 1000).toFixed(1)} s`
}
