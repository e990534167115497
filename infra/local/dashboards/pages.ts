import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, resolve } from 'node:path'
import type { HttpAnswer } from '../http-payload.ts'
import type { Metrics } from '../metrics.ts'
import type { Alarm, Dashboard } from '../resources/services.ts'
import { alarmState } from './alarms.ts'
import { drawWidgets } from './widgets.ts'

export type PagesOptions = {
  dashboards: readonly Dashboard[]
  alarms: readonly Alarm[]
  metrics: Metrics
  now?(): number
}

/** Answers one of the local cloud's own pages, or undefined where there is none under this path. */
export type Pages = (method: string, url: string) => Promise<HttpAnswer | undefined>

const plot = resolve(dirname(createRequire(import.meta.url).resolve('uplot')))
const runbook = resolve(import.meta.dirname, '../../../docs/operations.md')

const assets = new Map([
  ['client.js', { file: resolve(import.meta.dirname, 'client.js'), type: 'text/javascript' }],
  ['style.css', { file: resolve(import.meta.dirname, 'style.css'), type: 'text/css' }],
  ['uplot.js', { file: resolve(plot, 'uPlot.esm.js'), type: 'text/javascript' }],
  ['uplot.css', { file: resolve(plot, 'uPlot.min.css'), type: 'text/css' }],
])

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** As long as metrics are kept. */
const mostMinutes = 180

/**
 * A first page under `/`, the dashboards of the templates under `/dashboards`, and the states of their alarms.
 * Nothing is from the network.
 */
export function createPages({ dashboards, alarms, metrics, now = Date.now }: PagesOptions): Pages {
  const byPath = new Map(dashboards.map((dashboard) => [encodeURIComponent(dashboard.name), dashboard]))

  return async (method, url) => {
    if (method !== 'GET') return undefined
    if (/^\/(?:\?|$)/.test(url)) return html('Insighta on this machine', home)
    if (!/^\/dashboards(?:[/?]|$)/.test(url)) return undefined
    const { pathname, searchParams } = new URL(url.replace(/\/(?=\?|$)/, ''), 'http://127.0.0.1')
    const [, first, second, ...rest] = pathname.split('/').slice(1)
    if (rest.length > 0) return undefined
    if (first === undefined) return html('Dashboards', list())
    if (first === 'alarms' && second === undefined)
      return html('Alarms', alarmTable(), '<meta http-equiv="refresh" content="5">')
    if (first === 'assets') return asset(second ?? '')
    if (first === 'runbook') return section(second ?? '')
    const dashboard = byPath.get(first)
    if (!dashboard) return undefined
    if (second === undefined) return html(dashboard.name, drawing(first), scripts)
    return second === 'data' ? data(dashboard, searchParams.get('minutes') ?? '60') : undefined
  }

  function list(): string {
    const links = [...byPath].map(
      ([path, { name }]) => `<li><a href="/dashboards/${path}">${escapeHtml(name)}</a></li>`,
    )
    return `<ul>${links.join('')}<li><a href="/dashboards/alarms">alarms</a></li></ul>`
  }

  function alarmTable(): string {
    const at = now()
    const rows = alarms
      .map((alarm) => alarmState(alarm, at, metrics))
      .sort((a, b) => Number(b.state === 'ALARM') - Number(a.state === 'ALARM'))
      .map(({ name, description, runbook, state, reason }) => {
        const link = runbook ? `<a href="/dashboards/runbook/${runbook}">${runbook}</a>` : ''
        const cells = [escapeHtml(name), escapeHtml(description), link, escapeHtml(reason)]
        const rest = cells.map((cell) => `<td>${cell}</td>`).join('')
        return `<tr><td class="${state}">${state}</td>${rest}</tr>`
      })
    const head = ['state', 'alarm', 'says', 'runbook', 'values'].map((name) => `<th>${name}</th>`).join('')
    return `<table class="stacked"><thead><tr>${head}</tr></thead><tbody>${rows.join('')}</tbody></table>`
  }

  function data({ body }: Dashboard, text: string): HttpAnswer {
    const minutes = Number(text)
    if (!/^\d+$/.test(text) || minutes < 1 || minutes > mostMinutes)
      return json(400, { message: `minutes must be a whole number from 1 to ${mostMinutes}` })
    const to = now()
    const from = to - minutes * 60_000
    return json(200, { from: from / 1000, to: to / 1000, widgets: drawWidgets(body, from, to, metrics) })
  }
}

/** Where a newcomer goes from the address that `npm start` prints. */
const home = `<ul>
<li><a href="/api/docs">API reference</a>, and <a href="/api/health">the health of what it depends on</a></li>
<li><a href="/dashboards">Dashboards</a> and <a href="/dashboards/alarms">alarms</a>, as CloudWatch would draw them</li>
</ul>
<p>An access key for the API is in <code>credentials.json</code> of the data folder (default: <code>.insighta</code>).
To have something to look at, run in a second terminal:</p>
<pre>npm run demo                 # uploads and queries 500,000 invented people
npm run demo -- interviews   # plays an interview, faults included</pre>`

const scripts =
  '<link rel="stylesheet" href="/dashboards/assets/uplot.css"><script type="module" src="/dashboards/assets/client.js"></script>'

function drawing(path: string): string {
  const spans = [15, 60, mostMinutes].map(
    (minutes) => `<option value="${minutes}"${minutes === 60 ? ' selected' : ''}>${minutes} minutes</option>`,
  )
  return `<p><label>the last <select id="minutes">${spans.join('')}</select></label> <span id="problem" role="status"></span></p>
<div id="widgets" data-source="/dashboards/${path}/data"></div>`
}

async function asset(name: string): Promise<HttpAnswer | undefined> {
  const found = assets.get(name)
  return found && answer(200, `${found.type}; charset=utf-8`, await readFile(found.file))
}

/** A section of the runbook as it is written. */
async function section(wanted: string): Promise<HttpAnswer | undefined> {
  const sections = (await readFile(runbook, 'utf8')).split(/^(?=## )/m)
  const slug = (text: string) =>
    text
      .toLowerCase()
      .replace(/[^\p{L}\p{N} -]/gu, '')
      .replaceAll(' ', '-')
  const found = sections.find((text) => slug(/^## (.*)/.exec(text)?.[1] ?? '') === wanted)
  return found === undefined ? undefined : html('Runbook', `<pre>${escapeHtml(found)}</pre>`)
}

function html(title: string, content: string, head = ''): HttpAnswer {
  const text = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escapeHtml(title)}</title>
<link rel="stylesheet" href="/dashboards/assets/style.css">${head}</head>
<body><nav><a href="/">start</a> <a href="/dashboards">dashboards</a> <a href="/dashboards/alarms">alarms</a></nav>
<h1>${escapeHtml(title)}</h1>
${content}
</body></html>
`
  return answer(200, 'text/html; charset=utf-8', Buffer.from(text))
}

function json(status: number, value: unknown): HttpAnswer {
  return answer(status, 'application/json', Buffer.from(JSON.stringify(value)))
}

function answer(status: number, type: string, body: Buffer): HttpAnswer {
  const headers = new Map([
    ['content-type', type],
    ['content-security-policy', policy],
    ['x-content-type-options', 'nosniff'],
    ['cache-control', 'no-store'],
  ])
  return { status, headers, cookies: [], body }
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => entities[sign]!)
}
