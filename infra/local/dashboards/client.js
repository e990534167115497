// Draws the widgets of one dashboard in the browser and keeps them fresh.
import uPlot from './uplot.js'

const everyMs = 5_000
/** Each at least 3 to 1 on white and on the dark background. */
const colours = ['#2f7ed8', '#c2700a', '#2e9a4b', '#d9434b', '#8d6cc9', '#a0695b', '#c957a8', '#78838f']

const container = document.getElementById('widgets')
const minutes = document.getElementById('minutes')
const problem = document.getElementById('problem')
const drawn = new Map()
let asked = 0

async function refresh() {
  const turn = ++asked
  try {
    const response = await fetch(`${container.dataset.source}?minutes=${minutes.value}`)
    if (!response.ok) throw new Error(`the local cloud answered ${response.status}`)
    const { from, to, widgets } = await response.json()
    if (turn !== asked) return
    widgets.forEach((widget, at) => {
      draw(at, widget, { from, to })
    })
    problem.textContent = ''
  } catch (error) {
    problem.textContent = `Not fresh: ${error.message}`
  }
}

/** A chart lasts as long as its lines are the same ones. */
function draw(at, widget, { from, to }) {
  const key = JSON.stringify(widget.series.map(({ label, axis }) => [label, axis]))
  const data = [widget.times, ...widget.series.map(({ values }) => values)]
  let known = drawn.get(at)
  if (known?.key !== key) {
    known?.chart?.destroy()
    known = { key, ...frame(known?.section, widget) }
    drawn.set(at, known)
    known.chart = widget.series.length > 0 ? chart(known, widget, data) : undefined
  }
  known.note.textContent = noteOf(widget)
  resize(known)
  known.chart?.setData(data, false)
  known.chart?.setScale('x', { min: from, max: to })
}

function frame(old, widget) {
  const section = document.createElement('section')
  // The style sheet takes them where there is room for columns.
  section.style.setProperty('--column', `${widget.x + 1} / span ${widget.width}`)
  section.style.setProperty('--row', `${widget.y + 1} / span ${widget.height}`)
  section.classList.toggle('bare', widget.series.length === 0)
  const title = section.appendChild(document.createElement('h2'))
  title.textContent = widget.title
  title.title = widget.title
  const note = section.appendChild(document.createElement('p'))
  const plot = section.appendChild(document.createElement('div'))
  plot.className = 'plot'
  const legend = section.appendChild(document.createElement('div'))
  legend.className = 'legend'
  if (old) old.replaceWith(section)
  else container.append(section)
  return { section, note, plot, legend }
}

function noteOf({ withoutSource, unknown, series }) {
  const notes = [...withoutSource.map((metric) => `only on AWS: ${metric.split(' ').at(-1)}`), ...unknown]
  const isEmpty = series.every(({ values }) => values.every((value) => value === null))
  if (notes.length === 0 && isEmpty) notes.push('no data in this time')
  return notes.join('; ')
}

const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 2 })
const plain = new Intl.NumberFormat('en', { maximumSignificantDigits: 6 })
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' })
/** Short enough for the side of a chart, whatever the number: 20K, 1.5M. */
const label = (value) => (Math.abs(value) < 10_000 ? plain.format(value) : compact.format(value))

/** Points that no line is drawn to: neither neighbour has a value. All others are where lines bend. */
function lonePoints(chart, series, show) {
  if (show) return null
  const values = chart.data[series]
  const [first, last] = chart.series[0].idxs
  const lone = []
  for (let at = first; at <= last; at++)
    if (values[at] != null && values[at - 1] == null && values[at + 1] == null) lone.push(at)
  return lone
}

function chart({ plot, legend }, { series, limits }, data) {
  const range = ({ min, max }) => ({
    range: (_, low, high) => [min ?? low ?? 0, max ?? Math.max((high ?? 1) * 1.1, (min ?? 0) + 1)],
  })
  // As the style sheet has them for light and for dark.
  const { color: ink, borderTopColor: line } = getComputedStyle(plot)
  const lines = series.map(({ label: name, axis }, at) => ({
    label: name,
    scale: axis,
    stroke: colours[at % colours.length],
    // Twice as many lines as colours are told apart by their strokes.
    dash: at >= colours.length ? [6, 3] : undefined,
    width: 1.5,
    spanGaps: true,
    value: (_, value) => (value == null ? '–' : plain.format(value)),
    points: { size: 7, fill: colours[at % colours.length], filter: lonePoints },
  }))
  const sides = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } }
  const side = (more) => ({ ...sides, size: 52, values: (_, ticks) => ticks.map(label), ...more })
  const times = {
    ...sides,
    size: 34,
    space: 60,
    values: (_, ticks) => ticks.map((time) => clock.format(time * 1000)),
  }
  const axes = [times, side({ scale: 'left' })]
  if (series.some(({ axis }) => axis === 'right'))
    axes.push(side({ scale: 'right', side: 1, grid: { show: false } }))
  const options = {
    ...sizeOf(plot),
    scales: { left: range(limits.left), right: range(limits.right) },
    axes,
    series: [
      { label: 'time', value: (_, time) => (time == null ? '–' : clock.format(time * 1000)) },
      ...lines,
    ],
    cursor: { points: { size: 7 } },
    legend: { mount: (_, table) => legend.append(table) },
  }
  return new uPlot(options, data, plot)
}

const sizeOf = (plot) => ({
  width: Math.max(120, plot.clientWidth),
  height: Math.max(80, plot.clientHeight),
})

/** Gives the chart what title, note and legend leave. */
function resize({ chart, plot }) {
  if (!chart) return
  const size = sizeOf(plot)
  if (size.width !== chart.width || size.height !== chart.height) chart.setSize(size)
}

/** Colours of the axes are in the picture: each chart is made again. */
function redraw() {
  for (const { chart } of drawn.values()) chart?.destroy()
  drawn.clear()
  container.replaceChildren()
  refresh()
}

minutes.addEventListener('change', refresh)
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw)
addEventListener('resize', () => {
  for (const known of drawn.values()) resize(known)
})
setInterval(refresh, everyMs)
refresh()
